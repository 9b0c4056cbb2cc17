"""What the Hub accepts as names, languages and licenses, checked before a run is paid for."""

import difflib
import re

# https://github.com/huggingface/huggingface_hub, validate_repo_id; tests compare with it.
_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_LONGEST_NAME = 96
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_LANGUAGE_WORDS = frozenset({"code", "multilingual"})
# https://huggingface.co/docs/hub/repositories-licenses, with those of Llama 3 and later.
_LICENSE_LIST = """
    afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m
    bigscience-bloom-rail-1.0 bigscience-openrail-m bsd bsd-2-clause bsd-3-clause
    bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0
    cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0
    cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0
    epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 fair-noncommercial-research-license gemma gfdl gpl gpl-2.0
    gpl-3.0 h-research intel-research isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1
    llama3.2 llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 open-mdw openrail
    openrail++ osl-3.0 other pddl postgresql unknown unlicense wtfpl zlib
"""
_LICENSES = frozenset(_LICENSE_LIST.split())


def check_name(name: str) -> str:
    """Check the name of a repository, or of its owner.

    Args:
        name: Without a slash.

    Returns:
        The name.

    Raises:
        ValueError: The Hub refuses it.
    """
    if "/" in name:
        raise ValueError("the Hub refuses this name; give it without a slash")
    return check_repository_id(name)


def check_repository_id(repository: str) -> str:
    """Check the id of a repository, `owner/name` or `name`.

    Returns:
        The id.

    Raises:
        ValueError: The Hub refuses it.
    """
    parts = repository.split("/")
    if len(parts) > 2:
        raise ValueError("a repository's id is 'owner/name'")
    are_well_formed = all(_PART.fullmatch(part) and len(part) <= _LONGEST_NAME for part in parts)
    if not are_well_formed or re.search(r"--|\.\.|\.git$", repository):
        raise ValueError(
            "the Hub refuses this name; use letters, digits, '-', '_' and '.', "
            f"at most {_LONGEST_NAME} characters, with '-' and '.' neither at an end nor twice in "
            "a row, and no '.git' at the end"
        )
    return repository


def check_language(language: str) -> str:
    """Check the code of a language.

    Returns:
        The code.

    Raises:
        ValueError: The Hub refuses it.
    """
    if not _LANGUAGE.fullmatch(language) and language not in _LANGUAGE_WORDS:
        raise ValueError(
            f"the Hub does not accept the language {language!r}; give an ISO 639 code of two or "
            "three lower-case letters ('en'), 'multilingual' or 'code'"
        )
    return language


def check_license(identifier: str) -> str:
    """Check the identifier of a license.

    Returns:
        The identifier.

    Raises:
        ValueError: The Hub has no such license.
    """
    if identifier not in _LICENSES:
        near = difflib.get_close_matches(identifier.lower(), _LICENSES, n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(
            f"the Hub has no license {identifier!r}; {meant}For one that it does not list, set "
            "license=other with license_name and license_link"
        )
    return identifier
