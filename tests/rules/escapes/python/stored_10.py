# caught: static running
import typing
kept = []
reference = typing.List["print"].__args__[0]
made = type(reference)("(kept.append(__imp" + "ort__('os')), int)[1]")
made._evaluate({"kept": kept}, {}, **{"recursive_guard": frozenset()} if hasattr(typing, "Self") or True else {})
reached = kept[0]
