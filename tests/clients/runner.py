"""Runs the tests of one client library, each on its own, and says how each ended."""

import sys
import traceback


def run(tests):
    """0 if all passed, or else 1, for the process to exit with."""
    failed = 0
    for test in tests:
        name = test.__name__.replace("_", " ")
        try:
            test()
            print(f"ok      {name}")
        except Exception:
            failed += 1
            print(f"FAILED  {name}")
            traceback.print_exc(file=sys.stdout)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0
