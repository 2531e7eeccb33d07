"""What the programs beside this one have in common: a line for each check, and an end at the first that fails."""

import sys


def check(what, holds, shown=""):
    print("ok" if holds else "FAILED", what, "" if holds else shown, flush=True)
    if not holds:
        sys.exit(1)


def raised(kind, call):
    try:
        call()
    except kind as error:
        return error
    return None
