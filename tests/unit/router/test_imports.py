import subprocess
import sys


def test_the_router_loads_no_torch_and_nothing_that_needs_it() -> None:
    heavy = ("torch", "vllm", "transformers", "peft", "safetensors", "numpy")
    code = "import sys, patchbay.router.cli.serve, patchbay.router.process.serve; "
    code += f"print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
