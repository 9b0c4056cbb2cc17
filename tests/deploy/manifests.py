"""Checks Kubernetes manifests against the models of the official client, which are generated from
Kubernetes' own OpenAPI schema: unknown and missing fields, and values of the wrong type."""

import re

from kubernetes import client

_KINDS = {
    "ConfigMap": "V1ConfigMap",
    "Deployment": "V1Deployment",
    "PodDisruptionBudget": "V1PodDisruptionBudget",
    "Service": "V1Service",
}
_SCALARS = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def problems(manifest, kind=None):
    """What is wrong with a manifest, or a part of one, as texts; empty where nothing is.

    Args:
        manifest: The manifest.
        kind: The model of a part, such as `V1PodSpec`; None for a whole manifest.
    """
    name = kind or manifest["kind"]
    return list(_check(manifest, kind or _KINDS[name], name))


def _check(value, kind, path):
    if found := re.fullmatch(r"list\[(.+)\]", kind):
        if not isinstance(value, list):
            yield f"{path}: {value!r} is no list"
            return
        for index, item in enumerate(value):
            yield from _check(item, found[1], f"{path}[{index}]")
    elif found := re.fullmatch(r"dict\((.+), (.+)\)", kind):
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is no mapping"
            return
        for key, item in value.items():
            yield from _check(item, found[2], f"{path}.{key}")
    elif kind in _SCALARS:
        is_bool = isinstance(value, bool)
        if not isinstance(value, _SCALARS[kind]) or (is_bool and kind != "bool"):
            yield f"{path}: {value!r} is no {kind}"
    elif kind not in ("object", "datetime"):
        yield from _check_model(value, getattr(client, kind), path)


def _check_model(value, model, path):
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is no {model.__name__}"
        return
    names = {json: name for name, json in model.attribute_map.items()}
    for key in value.keys() - names.keys():
        yield f"{path}: there is no field {key!r} in {model.__name__}"
    for key in value.keys() & names.keys():
        yield from _check(value[key], model.openapi_types[names[key]], f"{path}.{key}")
    options = {names[key]: value[key] for key in value.keys() & names.keys()}
    try:
        model(**options)
    except ValueError as error:
        yield f"{path}: {error}"
