"""EventBridge's event patterns, as far as the template uses them: exact values, prefix, suffix, anything-but, exists."""


def matches(pattern, event):
    """Whether an event fits a pattern: every key of the pattern has to fit, keys of a nested object one by one."""
    return all(_key(wanted, event.get(name)) for name, wanted in pattern.items())


def _key(wanted, found):
    if isinstance(wanted, dict):
        return isinstance(found, dict) and matches(wanted, found)
    values = found if isinstance(found, list) else [found]
    return any(_value(one, value) for one in wanted for value in values)


def _value(wanted, found):
    if not isinstance(wanted, dict):
        return found == wanted
    (operator, operand), = wanted.items()
    if operator == "prefix":
        return isinstance(found, str) and found.startswith(operand)
    if operator == "suffix":
        return isinstance(found, str) and found.endswith(operand)
    if operator == "anything-but":
        return found is not None and found not in (operand if isinstance(operand, list) else [operand])
    if operator == "exists":
        return (found is not None) == operand
    raise ValueError(f"the pattern uses `{operator}`, which is not known here")
