# caught: static
def f():
    pass
reached = f.__𝒸ode__
