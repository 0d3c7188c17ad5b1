"""Says what a role may do: IAM's rules of evaluation, as far as the template uses them.

A statement counts when its action, resource and every condition fit. A deny that counts wins; otherwise an allow that counts; otherwise nothing is allowed.
"""

import re
from fnmatch import translate as glob

from template import listed


def _like(pattern, text):
    # `fnmatch` knows brackets, IAM does not.
    return re.match(glob(pattern.replace("[", "[[]")), text) is not None


OPERATORS = {
    "StringEquals": lambda wanted, found: wanted == found,
    "StringLike": _like,
    "ArnEquals": _like,
    "ArnLike": _like,
    "Bool": lambda wanted, found: str(wanted).lower() == str(found).lower(),
}


def _condition(conditions, context):
    for operator, keys in conditions.items():
        is_any = operator.startswith("ForAnyValue:")
        name = operator.removeprefix("ForAnyValue:")
        if name not in OPERATORS:
            raise ValueError(f"the template uses the condition `{operator}`, which is not known here")
        for key, wanted in keys.items():
            if key not in context:
                return False
            found = context[key] if isinstance(context[key], list) else [context[key]]
            if not is_any and len(found) != 1:
                raise ValueError(f"{key} has several values and needs ForAnyValue")
            if not any(OPERATORS[name](one, value) for one in listed(wanted) for value in found):
                return False
    return True


def decide(statements, action, resource, context):
    """`allowed`, `explicit_deny` or `implicit_deny`."""
    decision = "implicit_deny"
    for it in statements:
        fits = any(_like(a.lower(), action.lower()) for a in listed(it["Action"]))
        fits = fits and any(_like(r, resource) for r in listed(it["Resource"])) and _condition(it.get("Condition", {}), context)
        if fits and it["Effect"] == "Deny":
            return "explicit_deny"
        if fits:
            decision = "allowed"
    return decision
