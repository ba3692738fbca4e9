"""What the Python suites share: named checks, counted blocks, scripts for the fake provider."""

import json
import os

REDACTS = os.environ["REDACTS"]
BLOCKS = os.environ["BLOCKS"]
ATTACK = os.environ["ATTACK"]
blocked = 0


def fake(**script):
    """How the provider is to answer; in a header, which no policy reads."""
    return {"x-fake": json.dumps(script)}


def same(what, found, expected):
    assert found == expected, f"{what}: {found!r} is not {expected!r}"


def refused(what, kind, call):
    """The error that the call must raise."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{what}: nothing was raised")


def block(what, kind, call):
    global blocked
    blocked += 1
    error = refused(what, kind, call)
    same(f"{what}: status", getattr(error, "status_code", 409), 409)
    return error


def done():
    print(json.dumps({"blocked": blocked}))
