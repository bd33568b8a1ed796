//! The lists of Python.

use std::sync::OnceLock;

use foldhash::HashSet;

use super::{Words, words};

/// What may be imported in every mode: a directive, and the secrets of the run.
pub(in crate::rules) static ALWAYS: Words = words(
    "\
     __future__ belljar",
);

/// What mode standard imports: data, text, numbers and time; nothing that reaches out of a process.
pub(in crate::rules) static MODULES: Words = words(
    "\
     abc array asyncio base64 binascii bisect calendar cmath collections collections.abc \
     colorsys contextlib contextvars copy csv dataclasses datetime decimal difflib enum \
     fractions functools graphlib hashlib heapq hmac html html.entities html.parser io \
     itertools json json.decoder json.encoder keyword math numbers operator pprint random re \
     regex secrets statistics string struct textwrap time typing unicodedata urllib.parse \
     uuid xml.etree.ElementTree zlib zoneinfo",
);

/// Modules that are refused for a reason, by their first names.
pub(in crate::rules) struct Group {
    pub(in crate::rules) modules: Words,
    /// What they do.
    pub(in crate::rules) does: &'static str,
    /// What to write instead.
    pub(in crate::rules) advice: &'static str,
}

/// The first that has a module names the reason.
pub(in crate::rules) static GROUPS: [Group; 9] = [
    Group {
        modules: words(
            "\
             fcntl glob grp nt os pathlib platform posix posixpath pty pwd resource shutil \
             site subprocess sys sysconfig syslog tempfile termios tty",
        ),
        does: "reaches the system",
        advice: "print results, return them, or use open() for files below /work in mode standard",
    },
    Group {
        modules: words(
            "\
             code codeop compileall dill marshal pickle pickletools py_compile runpy shelve \
             timeit zipapp zipimport",
        ),
        does: "loads code",
        advice: "use json to keep data, and functions to keep code",
    },
    Group {
        modules: words(
            "\
             aiohttp ftplib http httpx imaplib poplib requests select selectors smtplib \
             socket socketserver ssl telnetlib urllib urllib3 xmlrpc",
        ),
        does: "opens connections",
        advice: "pass the data in, or ask for a mode and a grant that allow a network",
    },
    Group {
        modules: words(
            "\
             ast dis faulthandler gc inspect linecache opcode pdb profile symtable sys trace \
             traceback tracemalloc types",
        ),
        does: "looks into the interpreter",
        advice: "use isinstance() and your own classes; str(error) says what went wrong",
    },
    Group {
        modules: words(
            "\
             weakref",
        ),
        does: "refers to objects that may be gone",
        advice: "keep the object itself, or its key in a dict, and delete it where it ends",
    },
    Group {
        modules: words(
            "\
             signal",
        ),
        does: "handles signals of the process",
        advice: "compare time.monotonic() with a deadline, or use asyncio.wait_for()",
    },
    Group {
        modules: words(
            "\
             cffi ctypes mmap",
        ),
        does: "reaches memory",
        advice: "use bytes, bytearray, memoryview, array or struct",
    },
    Group {
        modules: words(
            "\
             concurrent multiprocessing sched thread threading",
        ),
        does: "starts processes or threads",
        advice: "write a loop, or coroutines with asyncio",
    },
    Group {
        modules: words(
            "\
             builtins imp importlib pkg_resources pkgutil",
        ),
        does: "changes what imports do",
        advice: "import modules by name, at the top of the file",
    },
];

/// Builtins that both strict modes have. What they do to attributes is looked at while they run.
pub(in crate::rules) static BUILTINS: Words = words(
    "\
     ArithmeticError AssertionError AttributeError BaseException BaseExceptionGroup \
     BlockingIOError BrokenPipeError BufferError BytesWarning ChildProcessError \
     ConnectionAbortedError ConnectionError ConnectionRefusedError ConnectionResetError \
     DeprecationWarning EOFError Ellipsis EncodingWarning EnvironmentError Exception \
     ExceptionGroup False FileExistsError FileNotFoundError FloatingPointError FutureWarning \
     GeneratorExit IOError ImportError ImportWarning IndentationError IndexError \
     InterruptedError IsADirectoryError KeyError KeyboardInterrupt LookupError MemoryError \
     ModuleNotFoundError NameError None NotADirectoryError NotImplemented \
     NotImplementedError OSError OverflowError PendingDeprecationWarning PermissionError \
     ProcessLookupError PythonFinalizationError RecursionError ReferenceError \
     ResourceWarning RuntimeError RuntimeWarning StopAsyncIteration StopIteration \
     SyntaxError SyntaxWarning SystemError SystemExit TabError TimeoutError True TypeError \
     UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError \
     UnicodeTranslateError UnicodeWarning UserWarning ValueError Warning ZeroDivisionError \
     __build_class__ __debug__ __doc__ __import__ __name__ abs aiter all anext any ascii bin \
     bool bytearray bytes callable chr classmethod complex delattr dict dir divmod enumerate \
     exit filter float format frozenset getattr hasattr hash hex id input int isinstance \
     issubclass iter len list map max memoryview min next object oct ord pow print property \
     quit range repr reversed round set setattr slice sorted staticmethod str sum super \
     tuple type vars zip",
);

/// Builtins that mode standard has besides.
pub(in crate::rules) static STANDARD_BUILTINS: Words = words(
    "\
     open",
);

/// Builtins that run text as code.
pub(in crate::rules) static CODE_BUILTINS: Words = words(
    "\
     compile eval exec execfile",
);

/// Builtins that look into the interpreter or leave the program.
pub(in crate::rules) static REFLECTION_BUILTINS: Words = words(
    "\
     breakpoint copyright credits globals help license locals",
);

/// Attributes through which any object leads to the interpreter.
pub(in crate::rules) static REFLECTION: Words = words(
    "\
     __base__ __bases__ __builtins__ __cached__ __closure__ __code__ __defaults__ __func__ \
     __getattribute__ __globals__ __import__ __kwdefaults__ __loader__ __mro__ __objclass__ \
     __reduce_ex__ __self__ __self_class__ __spec__ __subclasses__ __subclasshook__ \
     __thisclass__ __weakref__ __wrapped__ _convert_ ag_await ag_code ag_frame co_code co_consts \
     co_names cr_await cr_code cr_frame cr_origin f_back f_builtins f_code f_globals \
     f_locals f_trace func_code func_globals gi_code gi_frame gi_yieldfrom im_func im_self \
     tb_frame tb_next",
);

/// Whether some mode refuses a name that stands alone. Of an ordinary one, nothing else is asked.
pub(in crate::rules) fn may_be_refused(name: &str) -> bool {
    static NAMES: OnceLock<HashSet<&str>> = OnceLock::new();
    let lists = [&CODE_BUILTINS, &REFLECTION_BUILTINS, &STANDARD_BUILTINS, &REFLECTION];
    let names = || lists.into_iter().flat_map(Words::iter).chain(["__build_class__"]).collect();
    NAMES.get_or_init(names).contains(name)
}

/// Dunders that ordinary programs read and write as attributes. Any may be defined in a class.
pub(in crate::rules) static ORDINARY: Words = words(
    "\
     __abs__ __add__ __aenter__ __aexit__ __aiter__ __all__ __and__ __anext__ \
     __annotations__ __args__ __author__ __await__ __bool__ __bytes__ __call__ __cause__ \
     __ceil__ __class__ __class_getitem__ __complex__ __contains__ __context__ __copy__ \
     __dataclass_fields__ __dataclass_params__ __deepcopy__ __del__ __delattr__ __delete__ \
     __delitem__ __dict__ __dir__ __divmod__ __doc__ __enter__ __eq__ __exit__ __file__ \
     __float__ __floor__ __floordiv__ __format__ __fspath__ __ge__ __get__ __getattr__ \
     __getitem__ __gt__ __hash__ __iadd__ __iand__ __ifloordiv__ __ilshift__ __imatmul__ \
     __imod__ __imul__ __index__ __init__ __init_subclass__ __instancecheck__ __int__ \
     __invert__ __ior__ __ipow__ __irshift__ __isabstractmethod__ __isub__ __iter__ \
     __itruediv__ __ixor__ __le__ __len__ __length_hint__ __lshift__ __lt__ __match_args__ \
     __matmul__ __members__ __missing__ __mod__ __module__ __mul__ __name__ __ne__ __neg__ \
     __new__ __next__ __notes__ __or__ __orig_bases__ __origin__ __package__ __parameters__ \
     __pos__ __post_init__ __pow__ __prepare__ __qualname__ __radd__ __rand__ __rdivmod__ \
     __reduce__ __repr__ __reversed__ __rfloordiv__ __rlshift__ __rmatmul__ __rmod__ \
     __rmul__ __ror__ __round__ __rpow__ __rrshift__ __rshift__ __rsub__ __rtruediv__ \
     __rxor__ __set__ __set_name__ __setattr__ __setitem__ __sizeof__ __slots__ __str__ \
     __sub__ __subclasscheck__ __suppress_context__ __traceback__ __truediv__ __trunc__ \
     __type_params__ __value__ __version__ __xor__",
);

/// What modules of the list have, and programs of the strict modes do not.
pub(in crate::rules) static WITHHELD: Words = words(
    "\
     asyncio.create_subprocess_exec asyncio.create_subprocess_shell asyncio.open_connection \
     asyncio.open_unix_connection asyncio.start_server asyncio.start_unix_server \
     asyncio.subprocess dataclasses.FunctionType enum.bltns enum.global_enum io.FileIO \
     io.open_code typing.ForwardRef",
);

/// Methods that start a process, whatever they are called on.
pub(in crate::rules) static PROCESS_METHODS: Words = words(
    "\
     create_subprocess_exec create_subprocess_shell posix_spawn posix_spawnp subprocess_exec \
     subprocess_shell",
);

/// Modules of the standard library that modules of the list have as attributes, without the
/// underscores under which some do.
pub(in crate::rules) static LIBRARY: Words = words(
    "\
     abc ast atexit base64 bisect bltinmodule bltns builtins codecs collections \
     collections_abc contextvars copyreg ctypes datetime dis email errno functools gc heapq \
     http importlib inspect io itertools keyword locale logging marshal mmap numbers \
     operator os pathlib pickle platform posix posixpath pwd random re reprlib resource \
     select selectors shutil signal socket sre_compile sre_constants sre_parse ssl stat \
     string struct subprocess sys sysconfig tempfile thread threading time tokenize \
     traceback types urllib warnings weakref winreg",
);
