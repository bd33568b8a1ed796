# caught: static
try:
    import os
except Exception:
    os = None
reached = os
