import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from patchbay.core.settings import load_yaml, parse_settings
from patchbay.launch.rundir import write_settings
from patchbay.router.settings.config import ReplicaConfig, RouterConfig
from patchbay.server.config import BaseConfig, EngineConfig, LoraConfig, ServerConfig

_text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
_secrets = _text.map(SecretStr)
_names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
_paths = _text.map(lambda text: Path("/") / text.replace("\0", ""))
_plain: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=6,
)
_arguments = st.dictionaries(_text.map(lambda text: f"x{text}"), _plain, max_size=3)
_servers = st.builds(
    ServerConfig,
    name=_names,
    port=st.integers(0, 65535),
    token=_secrets,
    base=st.builds(BaseConfig, model=_text, name=st.just("the base"), chat_template=st.none() | _paths),
    lora=st.builds(LoraConfig, max_loras=st.just("auto") | st.integers(1, 9)),
    engine=st.builds(EngineConfig, arguments=_arguments, gpu_memory_utilization=st.floats(1e-9, 1)),
    cache_dir=_paths,
)
_routers = st.builds(
    RouterConfig,
    api_keys=st.lists(_secrets, max_size=3).map(tuple),
    admin_token=st.none() | _secrets,
    replicas=st.just((ReplicaConfig(url="http://127.0.0.1:9001", token=SecretStr("t")),)),
    port=st.just(1),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_servers | _routers)
def test_what_is_written_is_read_back(config: ServerConfig | RouterConfig) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_settings(config, Path(folder) / "config.yaml")
        assert parse_settings(type(config), load_yaml(path), source="test") == config
