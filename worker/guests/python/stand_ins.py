"""What stands in for functions of modules while a program runs by the rules of its mode.

A part of ``guard.py``, with a namespace of its own. Some functions of the library read an attribute, or run
a text, that a program has named: in the modules that have them, other builtins stand before the builtins.
"""

import _string, ast, builtins, sys, types  # noqa: E401

_TEXT, _NAMES = str, dict
_getattr, _eval, _exec = getattr, eval, exec
# What those modules read for themselves.
_READ = ("__dictrefoffset__", "__partialmethod__", "__weakrefoffset__")
# Their own names, which a program need not see.
_SHADOWS = {"dataclasses": ("getattr", "exec"), "functools": ("getattr", "setattr"), "string": ("getattr",),
            "typing": ("compile", "eval")}
_FORMATS = ("format", "format_map")


class StandIns:
    def __init__(self, guard):
        self.guard, self.waiting, self.annotations = guard, set(_SHADOWS), set()
        self.builtins = {"compile": self.compile, "eval": self.eval, "exec": self.exec, "getattr": self.getattr,
                         "setattr": guard.builtins["setattr"]}
        self.replaced = {("operator", "attrgetter"): self.attrgetter, ("operator", "methodcaller"): self.methodcaller}
        self.install()

    def install(self):
        """Puts them into those of the modules that are there by now."""
        for name in self.waiting & sys.modules.keys():
            module = vars(sys.modules[name])
            if name == "functools":
                _keeps_to_instances(module["cached_property"])
            module.update({each: self.builtins[each] for each in _SHADOWS[name]})
            self.waiting.discard(name)

    def is_withheld(self, module, key):
        if module == "functools" and key.startswith("singledispatch"):
            # It would import this for itself, and have annotations read.
            import typing  # noqa: F401
            self.install()
        return key in _SHADOWS.get(module, ())

    def getattr(self, value, name, *default):
        return _getattr(value, name, *default) if name in _READ else self.guard.builtins["getattr"](value, name, *default)

    def attrgetter(self, *names):
        import operator
        names = [_TEXT.__str__(each) if isinstance(each, _TEXT) else each for each in names]
        parts = [self.guard.check(part) for each in names if isinstance(each, _TEXT) for part in each.split(".")]
        if self.guard.is_looked_at(parts):
            raise AttributeError(f"mode {self.guard.rules.mode}: read {', '.join(parts)} in a lambda")
        getter = operator.attrgetter(*names)
        return lambda value, /: getter(value)

    def methodcaller(self, name, /, *arguments, **named):
        import operator
        name = self.guard.check(name)
        if self.guard.is_looked_at((name,)):
            return lambda value, /: self.guard.look(value, name)(*arguments, **named)
        caller = operator.methodcaller(name, *arguments, **named)
        return lambda value, /: caller(value)

    def format(self, found):
        """A method that was found, whose text is looked at before it formats."""
        if any(found is vars(_TEXT)[each] for each in _FORMATS):
            return lambda text, /, *rest, **named: found(self.checked_format(text), *rest, **named)
        if type(found) is types.BuiltinMethodType and isinstance(found.__self__, _TEXT):
            self.checked_format(found.__self__)
        collections = sys.modules.get("collections")
        function = _getattr(found, "__func__", found) if type(found) is types.MethodType else found
        if type(function) is types.FunctionType and any(
                function is vars(collections.UserString).get(each) for each in (_FORMATS if collections else ())):
            look, name = self.guard.look, function.__name__
            if function is found:
                return lambda text, /, *rest, **named: look(text.data, name)(*rest, **named)
            return lambda *rest, **named: look(found.__self__.data, name)(*rest, **named)
        return found

    def checked_format(self, text):
        if not isinstance(text, _TEXT):
            return text
        text = _TEXT.__str__(text)
        try:
            for _, field, spec, _ in _string.formatter_parser(text):
                for is_attribute, key in _string.formatter_field_name_split(field)[1] if field else ():
                    if is_attribute:
                        self.guard.check(key)
                if spec and "{" in spec:
                    self.checked_format(spec)
        except ValueError:
            # No format string, as whoever formats says.
            pass
        return text

    def compile(self, text, *arguments, **named):
        """An annotation as code: names, and attributes that a program may read."""
        tree = compile(_TEXT.__str__(text), "<string>", "eval", ast.PyCF_ONLY_AST, True)
        for node in ast.walk(tree):
            self.guard.check(_getattr(node, "attr", None))
            self.guard.check(_getattr(node, "id", None))
        code = compile(self.guard.looked_at(tree), "<string>", "eval", 0, True)
        self.annotations.add(code)
        return code

    def eval(self, code, known=None, own=None):
        if code not in self.annotations:
            # The library's, from before the program began.
            return _eval(code, known, own)
        known, own = (each if each is None else self.visible(each, code) for each in (known, own))
        if not self.is_programs(known):
            known = {**(known or {}), "__builtins__": self.guard.builtins}
        return _eval(code, known, own)

    def is_programs(self, names):
        return type(names) is _NAMES and names.get("__builtins__") is self.guard.builtins

    def visible(self, names, code):
        """Of the names of a module of the library, those that a program could read."""
        if self.is_programs(names) or "__spec__" not in names and "__builtins__" not in names:
            return names
        first = _TEXT(names.get("__name__")).partition(".")[0]
        if self.guard.rules.added and first not in _getattr(sys, "stdlib_module_names", ()):
            # What an operator added is trusted, with all that it needs.
            return names
        module, seen = sys.modules.get(names.get("__name__")), {}
        if type(module) is types.ModuleType and vars(module) is names and self.guard.rules.is_allowed(module.__name__):
            for name in code.co_names:
                if name in names:
                    try:
                        seen[name] = self.guard.attribute(module, name)
                    except AttributeError:
                        pass
        return seen

    def exec(self, text, known, own):
        """The methods of a data class, as text: the name of a field may be any text, if it was changed."""
        tree = compile(text, "<string>", "exec", ast.PyCF_ONLY_AST, True)
        for node in ast.walk(tree):
            for name in (_getattr(node, "attr", None), _getattr(node, "id", None)):
                if isinstance(node, (ast.Import, ast.ImportFrom)) or name in self.guard.rules.reflection:
                    raise AttributeError(f"mode {self.guard.rules.mode}: the name of a field is no code")
        code = compile(tree, "<string>", "exec", 0, True)
        if not self.is_programs(known):
            import dis
            for name in _globals(code, dis):
                # What is generated reads what it was given, and few builtins.
                if name in known or hasattr(builtins, name) and name not in self.guard.builtins:
                    raise AttributeError(f"mode {self.guard.rules.mode}: the name of a field is no code")
        _exec(code, known, own)


def _globals(code, dis):
    for each in dis.get_instructions(code):
        if each.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield each.argval
        if isinstance(each.argval, types.CodeType):
            yield from _globals(each.argval, dis)


def _keeps_to_instances(cached_property):
    """What a class has in its dictionary is no value that was kept."""
    get = cached_property.__get__

    def __get__(self, instance, owner=None):
        if isinstance(instance, type):
            raise TypeError("a cached property is one of instances")
        return get(self, instance, owner)

    cached_property.__get__ = __get__
