"""What trainers and hubs leave around an adapter: the adapter is found in it, and the rest refuses nothing."""

import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.adapters.contents import contents_of
from patchbay.adapters.publish import Pushed, PushRequest
from patchbay.core.errors import AdapterError
from tests.fakes.adapter_folder import write_adapter
from tests.fakes.installation import Installation

Push = Callable[[object], Pushed]
OWN = ["adapter_config.json", "adapter_model.safetensors"]
LEFT = {
    "adapter_model.bin", "pytorch_model.bin", "training_args.BIN", "random_states_0.pkl", "optimizer.pt",
    "value_head.safetensors", "new_embeddings.safetensors", "model-00001-of-00002.safetensors",
    "model.safetensors.index.json", "trainer_state.json", "merged/", "checkpoint-9/", "runs/", "wandb/",
}  # fmt: skip


@pytest.fixture
def push(tmp_path: Path) -> Iterator[Push]:
    with Installation.at(tmp_path / "desk") as desk:
        yield lambda source: desk.publisher.push(PushRequest("sql", str(source)), actor="ml")


def littered(folder: Path) -> Path:
    """An adapter with all that trainers leave beside one."""
    write_adapter(folder)
    for name in LEFT:
        if name.endswith("/"):
            (folder / name).mkdir()
            (folder / name / "adapter_model.bin").write_bytes(b"pickle")
        else:
            (folder / name).write_bytes(b"pickle")
    for number in range(300):
        (folder / "runs" / f"events.{number}").write_bytes(b"")
    (folder / "wandb" / "latest-run").symlink_to("/etc")
    write_adapter(folder / "checkpoint-9", fill=5)
    return folder


def packed(folder: Path, path: Path, top: str = "") -> Path:
    """An archive of `folder`, called `top` in it."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(folder.rglob("*")):
                if not file.is_symlink():
                    archive.write(file, str(Path(top) / file.relative_to(folder)))
    else:
        with tarfile.open(path, "w:gz") as tar:
            tar.add(folder, top or ".")
    return path


def names(pushed: Pushed) -> list[str]:
    return [file.name for file in pushed.revision.draft.files]


@pytest.mark.parametrize("form", ["folder", "a.tgz", "a.zip"])
def test_what_no_engine_loads_refuses_nothing_and_is_named(tmp_path: Path, push: Push, form: str) -> None:
    folder = littered(tmp_path / "out")
    pushed = push(folder if form == "folder" else packed(folder, tmp_path / form, "out"))
    assert names(pushed) == OWN
    assert set(pushed.left_out) == LEFT
    assert push(write_adapter(tmp_path / "clean")).revision.number == pushed.revision.number


@pytest.mark.parametrize("top", ["checkpoint-500", "runs/3/checkpoint-500", "global_step10"])
@pytest.mark.parametrize("form", ["folder", "a.tgz", "a.zip"])
def test_an_adapter_is_found_in_the_folder_that_its_trainer_called_so(
    tmp_path: Path, push: Push, form: str, top: str
) -> None:
    folder = write_adapter(tmp_path / "out" / top)
    source = tmp_path / "out" if form == "folder" else packed(folder, tmp_path / form, top)
    assert names(push(source)) == OWN


@pytest.mark.parametrize("form", ["folder", "a.tgz", "a.zip"])
def test_several_checkpoints_are_listed_and_one_is_picked(tmp_path: Path, push: Push, form: str) -> None:
    for number in (1000, 500, 20):
        write_adapter(tmp_path / "out" / f"checkpoint-{number}", fill=number % 7)
    source = tmp_path / "out" if form == "folder" else packed(tmp_path / "out", tmp_path / form)
    message = (
        r"holds 3 adapters: checkpoint-20, checkpoint-500, checkpoint-1000\. Pick one: put #checkpoint-1000 behind"
    )
    with pytest.raises(AdapterError, match=message):
        push(source)
    picked = push(f"{source}#checkpoint-500")
    assert picked.revision.draft.files == push(tmp_path / "out" / "checkpoint-500").revision.draft.files
    with pytest.raises(
        AdapterError, match=r"holds no adapter in checkpoint-7: .* is there: checkpoint-20, checkpoint-500"
    ):
        push(f"{source}#checkpoint-7")
    with pytest.raises(AdapterError, match="holds no adapter in"):
        push(f"{source}#../out/checkpoint-20")


def test_only_a_pickle_without_safetensors_is_refused_also_in_an_archive(tmp_path: Path, push: Push) -> None:
    folder = write_adapter(tmp_path / "checkpoint-5")
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    for source in (folder, packed(folder, tmp_path / "a.tgz", "checkpoint-5"), packed(folder, tmp_path / "a.zip", "x")):
        with pytest.raises(AdapterError, match=r"adapter_model\.bin is a pickle"):
            push(source)


def cached(tmp_path: Path) -> Path:
    """A snapshot as a Hugging Face cache has it: links to the blobs beside it."""
    repo, source = tmp_path / "hub" / "models--o--n", write_adapter(tmp_path / "source")
    snapshot = repo / "snapshots" / "abc" / "sub"
    snapshot.mkdir(parents=True)
    (repo / "blobs").mkdir()
    for number, file in enumerate(source.iterdir()):
        shutil.copy(file, repo / "blobs" / str(number))
        (snapshot / file.name).symlink_to(f"../../../blobs/{number}")
    return snapshot


def test_a_snapshot_in_a_hugging_face_cache_is_taken_also_through_a_link_to_it(tmp_path: Path, push: Push) -> None:
    snapshot = cached(tmp_path)
    (tmp_path / "mounted").symlink_to(snapshot)
    for source in (snapshot, snapshot.parent, tmp_path / "mounted"):
        assert names(push(source)) == OWN


@pytest.mark.parametrize("target", ["../../../secret", "../../../blobs/../secret", "/etc/passwd", "../../../blobs"])
def test_a_link_out_of_the_caches_own_blobs_is_refused(tmp_path: Path, push: Push, target: str) -> None:
    snapshot = cached(tmp_path)
    (tmp_path / "hub" / "models--o--n" / "secret").write_text("secret")
    (snapshot / "README.md").symlink_to(target)
    with pytest.raises(AdapterError, match=r"README\.md is a link"):
        push(snapshot)


def test_a_blob_that_is_itself_a_link_is_refused(tmp_path: Path, push: Push) -> None:
    snapshot = cached(tmp_path)
    (snapshot.parents[2] / "blobs" / "9").symlink_to("/etc/passwd")
    (snapshot / "README.md").symlink_to("../../../blobs/9")
    with pytest.raises(AdapterError, match=r"README\.md is a link"):
        push(snapshot)


def test_a_document_that_is_too_long_to_be_one_is_left_out(tmp_path: Path, push: Push) -> None:
    folder = write_adapter(tmp_path / "a")
    (folder / "README.md").write_bytes(b"x" * (1024**2 + 1))
    assert push(folder).left_out == ("README.md",)


part = st.text("ab.", min_size=1, max_size=3).filter(lambda text: text.strip("."))
placed = st.tuples(st.lists(part, max_size=3), st.sampled_from([*OWN, "x.bin", "README.md", ".hidden", "merged"]))


@given(st.lists(placed, max_size=12))
def test_the_choice_never_takes_a_file_from_two_folders_nor_loses_one(found: Sequence[tuple[list[str], str]]) -> None:
    all_names = {"/".join([*folders, name]) for folders, name in found}
    try:
        contents = contents_of(all_names, "it")
    except AdapterError:
        return
    own = {f"{contents.root}/{name}".lstrip("/") for name in contents.own}
    assert own <= all_names
    assert "adapter_model.safetensors" in contents.own
    for name in all_names - own:
        seen = name.removeprefix(f"{contents.root}/") if contents.root else name
        hidden = any(part.startswith(".") for part in name.split("/"))
        assert hidden or any(
            seen == left or seen.startswith(left) or name.startswith(left) for left in contents.left_out
        )
