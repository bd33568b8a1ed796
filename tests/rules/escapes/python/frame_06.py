# caught: static
class M:
    def __enter__(self):
        return self
    def __exit__(self, kind, error, trace):
        self.frame = trace.tb_frame.f_back or trace.tb_frame
        return True
m = M()
with m:
    raise ValueError
reached = m.frame
