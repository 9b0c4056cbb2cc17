"""Keras' JAX backend does what the TensorFlow backend does, on one device and on several.

`on_backend.py` trains the same weights on the same rows. XLA adds in another order: losses of a few
steps agree to 2e-3 of their value, and greedy tokens are the same.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import ModelError
from models.backend import check_backend, choose_backend
from models.distribution import batch_parts, distributed
from models.hparams import TrainHParams
from tests.models.tuning import PRESET

REPOSITORY = Path(__file__).parents[2]
RELATIVE = 2e-3
N_DEVICES = 4
# Compiling is nearly all of the time.
QUICKLY_COMPILED = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


def run_on(backend, cache):
    flags = f"--xla_force_host_platform_device_count={N_DEVICES} {QUICKLY_COMPILED}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.models.on_backend", cache],
        cwd=REPOSITORY,
        env={**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def jax(tiny_cache, tiny_preset):
    assert Path(tiny_preset).is_dir(), "both backends load the same weights"
    return run_on("jax", tiny_cache)


@pytest.fixture(scope="module")
def tensorflow(tiny_cache, tiny_preset):
    assert Path(tiny_preset).is_dir()
    return run_on("tensorflow", tiny_cache)


def losses_of(facts):
    return [*facts["losses"], *(loss for _, loss in facts["eval_losses"])]


@pytest.mark.slow
@pytest.mark.parametrize("training", ["plain", "accumulated"])
def test_losses_are_those_of_tensorflow(jax, tensorflow, training):
    ours, theirs = jax[training], tensorflow[training]
    assert ours["steps"] == theirs["steps"] > 3
    assert ours["tokens"] == theirs["tokens"], "no batch is lost"
    assert ours["losses"][-1] < ours["losses"][0]
    assert losses_of(ours) == pytest.approx(losses_of(theirs), rel=RELATIVE)


@pytest.mark.slow
def test_greedy_tokens_are_those_of_tensorflow(jax, tensorflow):
    assert jax["plain"]["responses"] == tensorflow["plain"]["responses"]


@pytest.mark.slow
def test_an_interrupted_training_goes_on_as_if_nothing_had_happened(jax):
    unbroken, resumed = jax["unbroken"], jax["resumed"]["facts"]
    assert (unbroken.pop("resumed_at"), resumed.pop("resumed_at")) == (None, 3)
    assert resumed == unbroken


@pytest.mark.slow
def test_dropout_draws_anew_while_training_only(jax):
    assert jax["dropout draws"] == [True, False]
    first, second, third = jax["resumed"]["states"]
    assert first, "each projection has a state"
    for one, other in ((first, second), (second, third)):
        assert all(a != b for a, b in zip(one, other, strict=True)), "steps draw anew, too"


@pytest.mark.slow
@pytest.mark.parametrize("training", ["data, lora", "model, lora", "both, lora", "both, full"])
def test_several_devices_compute_what_one_computes(jax, training):
    assert jax["devices"] == N_DEVICES
    one, several = (jax["on devices"][name] for name in (f"one, {training.split()[1]}", training))
    assert several["tokens"] == one["tokens"], "rows that fill up the last batch are not counted"
    assert losses_of(several) == pytest.approx(losses_of(one), rel=RELATIVE)


@pytest.mark.slow
def test_several_devices_give_the_greedy_tokens_of_one(jax):
    one, several = (jax["on devices"][name]["responses"] for name in ("one, lora", "both, lora"))
    assert several == one


def axes(jax, name, path):
    found = jax["on devices"][name]["layout"]
    return next(found[key] for key in found if key.endswith(path))


@pytest.mark.slow
def test_weights_are_copied_with_data_and_divided_with_model(jax):
    embeddings, query = "token_embedding/embeddings", "decoder_block_1/attention/query/kernel"
    gate, key = "decoder_block_0/ffw_gating/kernel", "decoder_block_0/attention/key/kernel"
    factor = "decoder_block_1/attention/query/lora_kernel_a"
    assert {
        axis for path in jax["on devices"]["data, lora"]["layout"].values() for axis in path
    } == {None}
    for name in ("model, lora", "both, lora"):
        assert axes(jax, name, embeddings) == ["model", "batch"]
        assert axes(jax, name, query) == ["model", "batch", None]
        assert axes(jax, name, gate) == ["batch", "model"]
        assert axes(jax, name, key) == [None, "batch", None], "one key-value head stays whole"
        assert set(axes(jax, name, factor)) == {None}


@pytest.mark.parametrize("kind", ["data", "model"])
def test_tensorflow_cannot_distribute_and_says_so(kind):
    with (
        pytest.raises(ModelError, match=rf"distribution={kind}: .*JAX .*'tensorflow'.*backend=jax"),
        distributed(kind, None, 4),
    ):
        pass


def test_without_distribution_a_batch_stays_whole():
    with distributed("none", None, 3):
        assert batch_parts() == 1


@pytest.mark.parametrize(
    ("model_parallel", "batch_size", "expected"),
    [
        (3, 4, "model_parallel=3: the 4 accelerators .* groups of 3. Give a divisor of 4"),
        (2, 3, "batch_size=3 cannot be divided into 2 parts.* Give a multiple of 2"),
    ],
    ids=["groups", "batches"],
)
def test_what_cannot_be_divided_is_refused(monkeypatch, model_parallel, batch_size, expected):
    monkeypatch.setattr("models.distribution._devices", lambda kind: ["cpu:0"] * 4)
    with (
        pytest.raises(ModelError, match=expected),
        distributed("model", model_parallel, batch_size),
    ):
        pass


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"distribution": "data"}, "'data' needs Keras' JAX backend; set backend=jax"),
        ({"model_parallel": 2}, "model_parallel=2 divides the weights; set distribution=model"),
        ({"backend": "torch"}, "'tensorflow' or 'jax'"),
    ],
)
def test_hyperparameters_that_contradict_each_other_are_refused(values, expected):
    with pytest.raises(ValueError, match=expected):
        TrainHParams(preset=PRESET, **values)


def test_a_backend_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"no package 'jax'.*pip install.*training.backend=tensor"):
        choose_backend("jax")
    with pytest.raises(ModelError, match=r"TensorFlow is not installed for \S+\. Run `make setup`"):
        choose_backend("tensorflow")
    assert os.environ["KERAS_BACKEND"] == "tensorflow"


def test_the_backend_is_chosen_for_the_process(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    choose_backend("tensorflow")
    assert os.environ["KERAS_BACKEND"] == "tensorflow"


def test_a_process_that_has_loaded_another_backend_is_told(run_trainer):
    check_backend("tensorflow")
    with pytest.raises(ModelError, match=r"is 'jax', and Keras runs on 'tensorflow'.*=jax before"):
        run_trainer([("a", "b")], [], backend="jax")
