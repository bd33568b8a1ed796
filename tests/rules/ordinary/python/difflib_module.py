# modes: standard
import difflib
print(difflib.get_close_matches("appel", ["ape", "apple", "peach"]), round(difflib.SequenceMatcher(None, "abcd", "bcde").ratio(), 2))
print("\n".join(difflib.unified_diff(["a", "b"], ["a", "c"], lineterm="", n=0)))
