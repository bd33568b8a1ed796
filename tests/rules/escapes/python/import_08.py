# caught: static
import pickle as got
reached = got
