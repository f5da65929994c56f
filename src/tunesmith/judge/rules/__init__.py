"""One pure function a rule: the history and the rule's numbers in, a verdict or nothing out.

``None`` means that the rule does not fire. A rule that needs a value which is missing or not finite
says *unknown* and names it; a missing number is never taken for a success, nor for a failure.
"""
