"""Runs a program by the rules of its mode: ``guard.py RULES SCRIPT [ARGUMENT ...]``.

Advice, not a boundary, as those rules are: what is decided here could not be told from the source. The
program has builtins of its own, through which it imports what the lists name and reads no attribute that
they refuse. The modules of the standard library keep theirs, and work as ever.
"""

import ast, builtins, sys, types  # noqa: E401
from importlib.machinery import ModuleSpec, SourceFileLoader

_OWN = globals()
_PART = __file__.rpartition("/")[0] + "/stand_ins.py"
# What the interpreter has loaded is no file of the run, whatever that is called.
_LOADED = frozenset(sys.modules) - {"__main__"}
_GUEST = "/run/belljar/guest.py"
# Attributes whose meaning depends on what they are read from: reading one becomes a call.
_LOOKED_AT = ("format", "format_map", "__dict__", "__getattribute__")
# No program can write these names.
_LOOK, _CLASS = "belljar attribute", "belljar class"
_MODULE, _TEXT = types.ModuleType, str
_NAMESPACE, _MRO = vars(type)["__dict__"].__get__, vars(type)["__mro__"].__get__
_STAND_INS = {"__name__": "stand_ins", "__builtins__": builtins}
_getattr, _hasattr, _setattr, _delattr, _import = getattr, hasattr, setattr, delattr, __import__


def main():
    rules = _Rules(sys.argv[1])
    script, sys.argv = sys.argv[2], sys.argv[2:]
    if hasattr(sys, "orig_argv"):
        # As if this had never been between the interpreter and the script.
        sys.orig_argv = [*sys.orig_argv[:1], *sys.argv]
    guard = _Guard(rules)
    sys.excepthook = _shows_no_guard(sys.excepthook)
    if script == _GUEST:
        code = _code(script)
        exec(code, {"__name__": "__main__", "__file__": script, "__builtins__": builtins, "_guard": guard})
        return
    sys.path[:1] = [script.rpartition("/")[0]]
    module = types.ModuleType("__main__")
    vars(module).update(__builtins__=guard.builtins, __file__=script)
    sys.modules["__main__"] = module
    with open(script, "rb") as file:
        code = compile(guard.parse(file.read(), script), script, "exec", 0, True)
    exec(code, vars(module))


class _Rules:
    """The lists, as one text: a name and words on each line."""

    def __init__(self, text):
        self.own, lists = {}, {}
        for line in text.splitlines():
            name, _, rest = line.partition(" ")
            if name == "own":
                module, _, path = rest.partition(" ")
                self.own[module] = path
            else:
                lists[name] = rest.split()
        self.mode = lists["mode"][0]
        self.builtins, self.modules, self.added = lists["builtins"], frozenset(lists["modules"]), lists.get("added", ())
        self.reflection, self.ordinary = frozenset(lists["reflection"]), frozenset(lists["ordinary"])
        self.withheld = frozenset(lists["withheld"])

    def is_refused(self, name):
        """Whether an attribute leads into the interpreter; a dunder on no list does."""
        is_dunder = len(name) > 4 and name.startswith("__") and name.endswith("__")
        return name in self.reflection or is_dunder and name not in self.ordinary

    def is_added(self, module):
        return any(module == each or module.startswith(each + ".") for each in self.added)

    def is_own(self, module):
        return (module.partition(".")[0] not in _LOADED
                and any(module == each or each.startswith(module + ".") for each in self.own))

    def is_allowed(self, module):
        """Whether a module is on the list, or leads to one that is."""
        within = module + "."
        return (module in self.modules or self.is_added(module)
                or any(each.startswith(within) for each in (*self.modules, *self.added)))


class _Guard:
    """What a program has in place of what every other has."""

    def __init__(self, rules):
        self.rules, self.shown, self.positions = rules, {}, set()
        known = vars(builtins)
        own = {name: known[name] for name in rules.builtins if name in known}
        own.update(self.functions())
        own.update({_LOOK: self.look, _CLASS: self.matched})
        self.builtins = own
        exec(_code(_PART), _STAND_INS)
        self.stand_ins = _STAND_INS["StandIns"](self)
        if rules.own:
            sys.meta_path.insert(0, _Finder(self))

    def parse(self, source, name):
        """The tree of a program that was checked as UTF-8, whatever it declares."""
        text = source if isinstance(source, str) else source.decode("utf-8-sig")
        tree = compile(text, name, "exec", ast.PyCF_ONLY_AST, True)
        # What is written with other letters may be one of these names as well.
        matches = "match" in text and "case" in text
        return self.looked_at(tree) if matches or not text.isascii() or self.is_looked_at(text) else tree

    def looked_at(self, tree):
        return ast.fix_missing_locations(_Looks().visit(tree))

    def is_looked_at(self, names):
        return any(each in names for each in _LOOKED_AT)

    def check(self, name):
        """Refuses the name of an attribute; returns it as what it is, whatever class it has."""
        if isinstance(name, _TEXT):
            name = _TEXT.__str__(name)
            if self.rules.is_refused(name):
                raise AttributeError(f"mode {self.rules.mode}: {name} leads into the interpreter; use methods and "
                                     "attributes of your own classes")
        return name

    def functions(self):
        check, look, absent = self.check, self.look, object()

        def getattr(object, name, default=absent, /):
            name = check(name)
            if name in _LOOKED_AT:
                if default is absent or _hasattr(object, name):
                    return look(object, name)
            return _getattr(object, name) if default is absent else _getattr(object, name, default)

        def hasattr(object, name, /):
            try:
                name = check(name)
            except AttributeError:
                return False
            return _hasattr(object, name)

        def setattr(object, name, value, /):
            name = check(name)
            if name in ("__class__", "__match_args__"):
                raise AttributeError(f"mode {self.rules.mode}: {name} of an object that exists is never changed")
            _setattr(object, name, value)

        def delattr(object, name, /):
            _delattr(object, check(name))

        def vars(object, /):
            return look(object, "__dict__")

        return {"getattr": getattr, "hasattr": hasattr, "setattr": setattr, "delattr": delattr, "vars": vars,
                "__import__": self.imports}

    def look(self, value, name):
        """Reads one of the attributes that are looked at."""
        found = _getattr(value, name)
        if name == "__dict__":
            return self.names(value, found)
        if name == "__getattribute__":
            return lambda *arguments: found(*arguments[:-1], *map(self.check, arguments[-1:]))
        return self.stand_ins.format(found)

    def names(self, value, found):
        if isinstance(value, type) or type(found) is types.MappingProxyType:
            # Its own methods are no secret; what every class has leads to every other.
            return types.MappingProxyType({key: self.stand_ins.format(each) for key, each in found.items()
                                           if key != "__dict__" and not self.rules.is_refused(key)})
        if type(found) is dict and not self.rules.reflection.isdisjoint(found):
            # A wrapper takes over what it wraps has, which may be a class.
            hidden = self.rules.reflection.intersection(found) - {"__wrapped__"}
            return {key: each for key, each in found.items() if key not in hidden} if hidden else found
        return found

    def matched(self, kind):
        """The class of a pattern that reads attributes by position, which its author has named."""
        if not issubclass(type(kind), type):
            return kind
        names = _found(kind, ("__match_args__",))
        if type(kind) is not type:
            asked = ("__match_args__", "__getattribute__", *(() if names is not None else ("__getattr__",)))
            plain = (object, type, getattr(sys.modules.get("enum"), "EnumMeta", type))
            if _found(type(kind), asked, plain) is not None:
                names = self
        if type(names) is not tuple and names is not None:
            raise AttributeError(f"mode {self.rules.mode}: __match_args__ is a tuple of names in the class itself")
        if names and names not in self.positions:
            for each in names:
                if self.check(each) in ("__dict__", "__getattribute__"):
                    raise AttributeError(f"mode {self.rules.mode}: a pattern does not read {each}")
            self.positions.add(names)
        return kind

    def imports(self, name, globals=None, locals=None, fromlist=(), level=0):
        """What an import statement of the program calls."""
        rules, name = self.rules, _TEXT.__str__(name)
        if type(fromlist) is list and not fromlist and globals is locals:
            # What is written in C imports for itself, by way of whoever called it; a statement has a tuple.
            return self.load(name, globals, locals, fromlist, level)
        package = (globals or {}).get("__package__") or ""
        full = ".".join(filter(None, (*package.split(".")[:len(package.split(".")) - level + 1], name))) if level else name
        if rules.is_own(full) or level == 0 and rules.is_added(full):
            return self.load(name, globals, locals, fromlist, level)
        if level or not rules.is_allowed(full):
            raise ImportError(f"mode {rules.mode} does not import {full!r}: use the builtins, a module of the list, "
                              "or ask the operator to add it", name=full)
        self.load(full)
        for each in fromlist or ():
            within = f"{full}.{each}"
            if rules.is_allowed(within) and within not in rules.withheld and not _hasattr(sys.modules[full], each):
                self.load(within)
        shown = self.show(full if fromlist else full.partition(".")[0])
        if "*" in (fromlist or ()):
            for each in dir(shown):
                _getattr(shown, each, None)
        return shown

    def load(self, *arguments):
        found = _import(*arguments)
        self.stand_ins.install()
        return found

    def show(self, name):
        """A module of the list, without those that it imported for itself."""
        if self.rules.is_added(name):
            return sys.modules[name]
        if name not in self.shown:
            self.shown[name] = _shown(self, name)
        return self.shown[name]

    def attribute(self, module, key):
        """What a module has for a program."""
        name = module.__name__
        value = _getattr(module, key)
        if key == "__all__":
            return [each for each in value if f"{name}.{each}" not in self.rules.withheld]
        is_refused = key.startswith("_") and key not in ("__doc__", "__version__") or f"{name}.{key}" in self.rules.withheld
        is_refused = is_refused or self.stand_ins.is_withheld(name, key)
        if (name, key) in self.stand_ins.replaced:
            return self.stand_ins.replaced[name, key]
        if isinstance(value, _MODULE):
            is_refused = is_refused or not self.rules.is_allowed(value.__name__)
            value = None if is_refused else self.show(value.__name__)
        if is_refused:
            error = AttributeError(f"mode {self.rules.mode}: {key} of module {name} is not for programs")
            error.name = key
            raise error
        return value


def _shown(guard, name):
    module = sys.modules[name]

    class Module(_MODULE):
        def __getattr__(self, key):
            value = guard.attribute(module, _TEXT.__str__(key))
            vars(self)[key] = value
            return value

        def __dir__(self):
            names = _getattr(module, "__all__", None) or dir(module)
            return [each for each in names if not each.startswith("_") and _hasattr(self, each)]

    return Module(name, module.__doc__)


class _Looks(ast.NodeTransformer):
    """Has some attributes read by way of the guard."""

    def visit_Attribute(self, node):
        self.generic_visit(node)
        if node.attr not in _LOOKED_AT or not isinstance(node.ctx, ast.Load):
            return node
        look, name = ast.Name(_LOOK, ast.Load()), ast.Constant(node.attr)
        return ast.copy_location(ast.Call(look, [node.value, name], []), node)

    def visit_Match(self, node):
        """Has the classes of patterns looked at, each once, before a case whose patterns have positions."""
        self.generic_visit(node)
        cases, node.cases, kept_names = node.cases, [], set()
        for case in cases:
            classes = (each for each in ast.walk(case.pattern) if isinstance(each, ast.MatchClass) and each.patterns)
            for number, each in enumerate(classes):
                # A class body makes nothing of a name like this, whatever it is the body of.
                name = f"__{_CLASS} {number}__"
                kept_names.add(name)
                kind = ast.Call(ast.Name(_CLASS, ast.Load()), [each.cls], [])
                kept = ast.NamedExpr(ast.Name(name, ast.Store()), kind)
                # Never so: what is looked for here is no class.
                test = ast.Compare(kept, [ast.Is()], [ast.Name(_LOOK, ast.Load())])
                before = ast.match_case(ast.MatchAs(), test, [ast.Pass()])
                node.cases.append(_at(before, each))
                each.cls = ast.copy_location(ast.Name(name, ast.Load()), each.cls)
            node.cases.append(case)
        return [node, *(_at(each, node) for name in sorted(kept_names) for each in (
            ast.Assign([ast.Name(name, ast.Store())], ast.Constant(None)), ast.Delete([ast.Name(name, ast.Del())])))]


class _Finder:
    """Finds the run's own modules, as they were when it began."""

    def __init__(self, guard):
        self.guard, self.sources = guard, {}
        for name, path in guard.rules.own.items():
            with open(path, "rb") as file:
                self.sources[name] = file.read()

    def find_spec(self, name, path=None, target=None):
        if name not in self.sources:
            return None
        path = self.guard.rules.own[name]
        is_package = path.endswith("/__init__.py")
        spec = ModuleSpec(name, _Loader(name, path, self), origin=path, is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [path.rpartition("/")[0]]
        return spec


class _Loader(SourceFileLoader):
    """Loads one of them, which has the builtins of the program."""

    def __init__(self, name, path, finder):
        super().__init__(name, path)
        self.finder = finder

    def get_code(self, name):
        return compile(self.finder.guard.parse(self.finder.sources[name], self.path), self.path, "exec", 0, True)

    def exec_module(self, module):
        vars(module)["__builtins__"] = self.finder.guard.builtins
        exec(self.get_code(module.__name__), vars(module))


def _at(made, node):
    for each in ast.walk(made):
        if "lineno" in each._attributes and not _hasattr(each, "lineno"):
            ast.copy_location(each, node)
    return made


def _found(kind, names, but=()):
    """What a class and those that it is made of hold under one of some names, whatever they say of it."""
    for each in _MRO(kind):
        known = _NAMESPACE(each)
        for name in names:
            if name in known and not any(each is it for it in but):
                return known[name]
    return None


def _shows_no_guard(display):
    """A hook that shows what was raised as if nothing of ours had called the program, or was called by it."""

    def excepthook(kind, error, trace):
        display(kind, error.with_traceback(without_own_frames(trace)), error.__traceback__)

    return excepthook


def without_own_frames(trace):
    kept = []
    while trace is not None:
        if all(trace.tb_frame.f_globals is not each for each in (_OWN, _STAND_INS)):
            kept.append(trace)
        trace = trace.tb_next
    for each, following in zip(kept, [*kept[1:], None]):
        each.tb_next = following
    return kept[0] if kept else None


def _code(path):
    known = _OWN.get("_compiled", {}).get(path)
    if known:
        return known
    with open(path, "rb") as file:
        return compile(file.read(), path, "exec", 0, True)


if __name__ == "__main__":
    main()
