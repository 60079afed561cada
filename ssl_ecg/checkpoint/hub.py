"""Checkpoints on the Hugging Face Hub: its own cache, revisions, tokens and offline mode."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from ssl_ecg.checkpoint.files import FILES
from ssl_ecg.errors import CheckpointError

_REFERENCE = re.compile(r"hf:/{1,2}([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
_CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}


def parse(ref: str) -> tuple[str, str | None]:
    """Repository and revision of `hf://ORG/NAME[@REVISION]`; CheckpointError if it is none."""
    match = _REFERENCE.fullmatch(ref)
    if match is None:
        raise CheckpointError(f"{ref}: a repository of the Hugging Face Hub is hf://ORG/NAME or hf://ORG/NAME@REVISION")
    return match[1], match[2]


def endpoint() -> str | None:
    """The address of the Hub, if it is not the usual one."""
    return os.environ.get("HF_ENDPOINT")


def fetch(ref: str, again: bool = False) -> Path:
    """Fetch a checkpoint into the Hub's own cache, or find it there, and give its folder.

    `again` fetches it although it is there. CheckpointError, with the remedy, if it cannot be had.
    """
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repository, revision = parse(ref)
    try:
        return Path(
            snapshot_download(
                repository, revision=revision, allow_patterns=[*FILES], endpoint=endpoint(), force_download=again
            )
        )
    except GatedRepoError:
        why = "its owner asks who uses it: accept the terms on its page, then `hf auth login` or set HF_TOKEN"
    except RepositoryNotFoundError:
        why = "there is no such repository, or it is private: check the name, or `hf auth login` (or set HF_TOKEN)"
    except RevisionNotFoundError:
        why = (
            f"the repository has no revision {revision}: that branch, tag or commit is gone, or never was; "
            f"hf://{repository} is the newest"
        )
    except LocalEntryNotFoundError as error:
        if constants.is_offline_mode():
            why = (
                "HF_HUB_OFFLINE is set and there is no copy in the cache: pull it once where there is a network "
                f"(python -m ssl_ecg.checkpoints pull {ref})"
            )
        else:
            why = f"the Hub cannot be reached and there is no copy in the cache ({_line(error)}): try again"
    except HfHubHTTPError as error:
        why = f"the Hub answers {_line(error)}: try again later"
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            why = f"the connection broke ({_line(error)}): try again, and it goes on where it was"
        else:
            place = constants.HF_HUB_CACHE
            why = f"its cache {place} cannot be written ({error.strerror}): free some space, or set HF_HOME to another"
    except Exception as error:  # noqa: BLE001  (its HTTP library is one thing in one version and another in the next)
        why = f"the connection broke ({_line(error)}): try again, and it goes on where it was"
    raise CheckpointError(f"{ref} cannot be fetched: {why}")


def push(folder: Path, ref: str, private: bool = False) -> str:
    """Upload a checkpoint's folder to a repository, made if it is not there, and give the address of the commit.

    CheckpointError if that is refused or the Hub cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    repository, branch = parse(ref)
    api = HfApi(endpoint=endpoint(), library_name="ssl_ecg")
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        if branch is not None:
            api.create_branch(repository, branch=branch, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            revision=branch,
            allow_patterns=[*FILES],
            commit_message="Checkpoint of ssl_ecg",
        )
    except HfHubHTTPError as error:
        status = error.response.status_code
        why = "log in first (`hf auth login`, or set HF_TOKEN)" if status in (401, 403) else _line(error)
        raise CheckpointError(f"cannot push to {ref}: {why}") from None
    except Exception as error:  # noqa: BLE001  (as above)
        raise CheckpointError(f"cannot push to {ref}: {_line(error)}") from None
    return str(done.commit_url)


def _line(error: Exception) -> str:
    """The first line of an error, which may have many."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
