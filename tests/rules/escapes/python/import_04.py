# caught: static
import socket as got
reached = got
