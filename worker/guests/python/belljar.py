"""What a run may read and nobody else: ``belljar.secrets["NAME"]``."""

import os

# The origin of collections.abc: already loaded in every interpreter, so that it costs nothing.
from _collections_abc import Mapping

__all__ = ["secrets"]


def _receive(descriptor):
    """Reads the pipe to its end, closes it, and forgets how to write into the mapping."""
    values = globals().pop("_values")
    with open(descriptor, "rb") as pipe:
        data = pipe.read()
    fields, at = [], 0
    while at < len(data):
        start = at + 4
        at = start + int.from_bytes(data[at:start], "little")
        fields.append(data[start:at])
    for name, value in zip(fields[::2], fields[1::2]):
        values[name.decode()] = _text(value)


def _text(value):
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _sealed(values):
    def refuse(self, *_):
        raise TypeError("belljar.secrets is read-only")

    class Secrets(Mapping):
        """A read-only mapping of names to values; shows names only."""

        __slots__ = ()
        __setattr__ = __delattr__ = __setitem__ = __delitem__ = refuse

        def __getitem__(self, name):
            return values[name]

        def __iter__(self):
            return iter(tuple(values))

        def __len__(self):
            return len(values)

        def __repr__(self):
            return f"<belljar.secrets: {', '.join(values) or 'none'}>"

        def __reduce_ex__(self, protocol):
            raise TypeError("belljar.secrets cannot be pickled")

    # A forked child starts without them.
    os.register_at_fork(after_in_child=values.clear)
    return Secrets()


_values = {}
secrets = _sealed(_values)
if "BELLJAR_SECRETS_FD" in os.environ:
    _receive(int(os.environ.pop("BELLJAR_SECRETS_FD")))
