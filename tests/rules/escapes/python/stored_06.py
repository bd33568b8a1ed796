# caught: static
import pickle
reached = pickle.loads(b"cbuiltins\neval\n(S'1'\ntR.")
