"""Counts of claims that hold or fail, in the form that xtask reads."""


class Claims:
    """Runs claims whose text contains `part`, and keeps the counts."""

    def __init__(self, part):
        self.part = part
        self.passed = 0
        self.failed = 0
        self.skipped = 0

    def hold(self, claim, check):
        """Runs `check`, which raises an error if the claim is false. Leaves out claims without the filter."""
        if self.part not in claim:
            return
        try:
            check()
        except Exception as error:  # Every failure of a check is a failed claim.
            self.failed += 1
            print(f"FAILED: {claim}: {type(error).__name__}: {error}")
        else:
            self.passed += 1
            print(f"ok: {claim}")

    def skip(self, reason):
        """Counts a claim that can't be checked here."""
        self.skipped += 1
        print(f"skipped: {reason}")

    def end(self):
        """Prints the counts. Returns the exit status."""
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 0 if self.failed == 0 else 1


def expect(truth, what):
    """Raises an error unless `truth` holds."""
    if not truth:
        raise AssertionError(what)
