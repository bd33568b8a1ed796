# caught: static
reached = __loader__ or __builtins__
