# SPDX-License-Identifier: Apache-2.0
"""The C interface of Tern as it is: made by bindings/generate from include/tern, not by hand."""
from ctypes import (CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t, c_uint8, c_uint32,
                    c_uint64, c_void_p, sizeof)

TERN_VERSION_MAJOR = 0
TERN_VERSION_MINOR = 1
TERN_VERSION_PATCH = 0
# Most dimensions of a tensor.
TERN_MAX_RANK = 8
TERN_NO_VALUE = -1

# tern_dtype: Element types. The numbers are fixed: they are stored in files. bool is one byte, 0 or 1.
TERN_DTYPE_NONE = 0
TERN_DTYPE_F32 = 1
TERN_DTYPE_F16 = 2
TERN_DTYPE_BF16 = 3
TERN_DTYPE_F64 = 4
TERN_DTYPE_I8 = 5
TERN_DTYPE_U8 = 6
TERN_DTYPE_I16 = 7
TERN_DTYPE_U16 = 8
TERN_DTYPE_I32 = 9
TERN_DTYPE_U32 = 10
TERN_DTYPE_I64 = 11
TERN_DTYPE_U64 = 12
TERN_DTYPE_BOOL = 13

TERN_OK = 0
# NULL, an unknown flag, a number out of its range
TERN_ERR_INVALID_ARGUMENT = 1
# the object is not in a state that allows this call
TERN_ERR_STATE = 2
# a tensor's shape does not fit
TERN_ERR_SHAPE = 3
# a tensor's element type does not fit
TERN_ERR_TYPE = 4
# no signature, tensor, backend or file of this name
TERN_ERR_NOT_FOUND = 5
# an index held by an input tensor is out of range
TERN_ERR_INDEX = 6
# a run came to NaN or infinity where its graph forbids that; no update was written
TERN_ERR_NOT_FINITE = 7
# the feature is not in this build or on this device
TERN_ERR_UNSUPPORTED = 16
# an operator that this version does not have; the message lists them
TERN_ERR_UNSUPPORTED_OP = 17
# the file is newer than the library; the message names the version
TERN_ERR_UNSUPPORTED_VERSION = 18
# an allocation failed
TERN_ERR_MEMORY = 32
# a limit of the caller or of the model would be passed; the message names it
TERN_ERR_LIMIT = 33
# the operating system refused a read or a write
TERN_ERR_IO = 34
# the caller's cancel was signalled; the object may be used again
TERN_ERR_CANCELLED = 35
# the caller's deadline passed; the object may be used again
TERN_ERR_DEADLINE = 36
# not a file of the expected format, truncated, or contradicting itself
TERN_ERR_CORRUPT = 48
# well formed, but the bytes are not those that were written
TERN_ERR_CHECKSUM = 49
# make a new session; memory of the host is intact
TERN_ERR_DEVICE_LOST = 64
# the driver failed; the message has its words
TERN_ERR_DRIVER = 65
# a mistake of this library; please report the message
TERN_ERR_INTERNAL = 127

# tern_wait:
# spins some 50 microseconds for the next piece of work, then sleeps
TERN_WAIT_SPIN_THEN_SLEEP = 0
# sleeps at once: least power, slower hand-over
TERN_WAIT_SLEEP = 1
# never sleeps during a run, and as 0 between runs: fastest hand-over
TERN_WAIT_SPIN = 2

# tern_denormals: Numbers below the smallest normal one (1.2e-38 in f32): many processors take some hundred times as long for them.
# Only the threads of a run are switched, while they work for it: the caller's thread has its own mode again, and its
# rounding mode, when a call returns. Neither mode of the caller changes a result.
# taken for zero, where the processor can
TERN_DENORMALS_FLUSH = 0
# computed with
TERN_DENORMALS_KEEP = 1

# tern_tiles: Matrix tiles (Intel AMX) make products of 8-bit integers several times as fast, with the same bits. Linux gives a
# process their registers when it asks, for good; from then on a signal needs some 11 KiB of stack, and sigaltstack()
# refuses less (getauxval(AT_MINSIGSTKSZ) knows the size). The library asks when it plans the first such product on a
# processor with tiles. Where that is refused, since a thread has a smaller signal stack, it takes other
# instructions.
# asked for when there is a use for them
TERN_TILES_AUTO = 0
# not asked for, and not used
TERN_TILES_NEVER = 1

# read the file into memory instead of mapping it: for storage that others may change
TERN_LOAD_COPY = 1
# also compare the checksum of every weight (reads the whole file)
TERN_LOAD_CHECK_WEIGHTS = 2

# tern_tensor_role:
# of one signature
TERN_ROLE_INPUT = 0
# of one signature
TERN_ROLE_OUTPUT = 1
# of the model; `signature` is ignored
TERN_ROLE_PARAMETER = 2
# of the model; `signature` is ignored
TERN_ROLE_STATE = 3

# no backend whose bits depend on the machine or on threads (onednn); signatures that write states or parameters
# never use one
TERN_SESSION_DETERMINISTIC = 1
# record the time of every node (tern_session_write_profile)
TERN_SESSION_PROFILE = 2
# keep what every node computes (tern_session_get_intermediate). Kernels and fusion stay as they are, memory does
# not: everything is alive to the end of a run
TERN_SESSION_KEEP_INTERMEDIATES = 4

# tern_placement_kind: Where each node of the latest plan of a signature runs and why.
# a kernel of the backend
TERN_PLACED_KERNEL = 0
# the backend lacks a kernel: this node is a part of the operator's decomposition
TERN_PLACED_DECOMPOSED = 1
# plain loops: right, but slow
TERN_PLACED_REFERENCE = 2
# a transfer between backends
TERN_PLACED_COPY = 3

# batch norm takes the statistics of the batch, and writes the running ones at the end of the step: of parameters of
# a set that are not given as values; "NAME.next" names what is written
TERN_CALL_TRAIN = 1
# with TERN_CALL_TRAIN: batch norm is as in inference, its statistics stay
TERN_CALL_KEEP_STATISTICS = 2

# a step whose loss is no finite number changes nothing and is passed over; otherwise it gives
# TERN_ERR_NOT_FINITE
TERN_TRAINER_SKIP_NOT_FINITE = 1

# what the tokenizer puts around a text, as a token for its begin
TERN_ENCODE_ADD_SPECIAL = 1
# special tokens are found in the text ("<|im_end|>"); without it they are text like
# any other, as texts of users should be
TERN_ENCODE_PARSE_SPECIAL = 2

# special tokens give no text
TERN_DECODE_SKIP_SPECIAL = 1

# steers the model: a role, the end of a text
TERN_TOKEN_SPECIAL = 1
# is looked for in the text before the algorithm runs
TERN_TOKEN_ADDED = 2
# stands for one byte that is in no other token
TERN_TOKEN_BYTE = 4
# padding of the vocabulary: no text gives it, and it gives no text
TERN_TOKEN_UNUSED = 8
# stands for what the vocabulary lacks
TERN_TOKEN_UNKNOWN = 16

# tern_token_role:
# of a text
TERN_TOKEN_ROLE_BEGIN = 0
# of a text or an answer
TERN_TOKEN_ROLE_END = 1
TERN_TOKEN_ROLE_UNKNOWN = 2
TERN_TOKEN_ROLE_PADDING = 3

# batches follow the order of the source; without it each epoch has a random one
TERN_DATA_IN_ORDER = 1
# a batch that would reach into the next epoch begins there: what is left of an epoch is
# not drawn. Without it the batch takes the rest from the next epoch: all are full
TERN_DATA_DROP_LAST = 2
# documents and records that are of no use are counted (tern_data_num_skipped); without it
# the first one is an error that names file, line and reason
TERN_DATA_SKIP_BAD = 4
# texts: the last window is padded if it is not full; without it it is dropped
TERN_DATA_PAD_LAST = 8
# no token is put behind a text
TERN_DATA_NO_END = 16

# tern_data_kind:
# by the keys of the first record
TERN_DATA_FOUND = 0
# a text and its label: see tern_data_open_jsonl
TERN_DATA_CLASSES = 1
TERN_DATA_CHAT = 2
TERN_DATA_COMPLETION = 3

# answers begin behind an empty thought, where the template knows that (Qwen 3)
TERN_CHAT_NO_THINKING = 1

# the beginning of the model's answer follows the messages
TERN_CHAT_ANSWER = 1

# tern_when_full: What happens when all positions of the model are used.
# TERN_ERR_LIMIT
TERN_WHEN_FULL_STOP = 0
# the first `keep` tokens stay, of the others the older half is forgotten, and what is
# left is computed again: tern_generator_length becomes smaller
TERN_WHEN_FULL_SLIDE = 1

# tern_grammar_kind: GBNF: rules `name ::= ...`, of which `root` is the whole text: "text" with \n \r \t \\ \" \xHH \uHHHH \UHHHHHHHH,
# [a-z], [^a-z], `.`, (a | b), ?, *, +, {2}, {2,}, {2,5}; # begins a comment.
# JSON schema: the text is JSON that this schema (2020-12) takes; `true` takes all JSON. Objects have their properties
# in the schema's order, and others only where it has additionalProperties or names none.
# any text
TERN_GRAMMAR_NONE = 0
TERN_GRAMMAR_GBNF = 1
TERN_GRAMMAR_JSON_SCHEMA = 2

# tern_picture_format:
# plane 0: R G B bytes
TERN_PICTURE_RGB8 = 0
TERN_PICTURE_BGR8 = 1
# what the fourth byte means: see `alpha`
TERN_PICTURE_RGBA8 = 2
TERN_PICTURE_GREY8 = 3
# plane 0: Y; plane 1: U V pairs at half size, rounded up: (width + 1) / 2 pairs a row
TERN_PICTURE_NV12 = 4
# plane 0: Y; plane 1: V U pairs at half size, rounded up
TERN_PICTURE_NV21 = 5
# planes Y, U, V; U and V at half size, rounded up
TERN_PICTURE_I420 = 6
TERN_PICTURE_BGRA8 = 7

# tern_picture_matrix: How Y, U and V become colours; the other formats ignore it.
# cameras, JPEG, video of standard definition
TERN_PICTURE_BT601 = 0
# video of high definition
TERN_PICTURE_BT709 = 1

# tern_picture_range: Which values Y, U and V take, likewise. With y = Y - 16, u = U - 128, v = V - 128 (full: y = Y) R, G, B are
#   BT.601 limited  1.164384 y + 1.596027 v | 1.164384 y - 0.391762 u - 0.812968 v | 1.164384 y + 2.017232 u
#   BT.601 full              y + 1.402    v |          y - 0.344136 u - 0.714136 v |          y + 1.772    u
#   BT.709 limited  1.164384 y + 1.792741 v | 1.164384 y - 0.213249 u - 0.532909 v | 1.164384 y + 2.112402 u
#   BT.709 full              y + 1.5748   v |          y - 0.187324 u - 0.468124 v |          y + 1.8556   u
# with each factor rounded to a multiple of 1/8192, rounded to the nearest integer and cut to 0..255.
# Y 16..235, U and V 16..240: video
TERN_PICTURE_LIMITED = 0
# 0..255: JPEG and many cameras
TERN_PICTURE_FULL = 1

# tern_picture_alpha: What the fourth byte A of RGBA8 and BGRA8 does; the other formats ignore it.
# the pixel lies on the background: (colour * A + background * (255 - A)) / 255,
# rounded to the nearest: PNG files, canvases of browsers
TERN_ALPHA_STRAIGHT = 0
# colour + background * (255 - A) / 255, at most 255: bitmaps of Android, iOS, macOS
TERN_ALPHA_PREMULTIPLIED = 1
# RGBX, BGRX: the byte means nothing
TERN_ALPHA_IGNORED = 2

# tern_vision_kind: ---- tasks ----
# boxes; with masks, turned boxes or key points where the model gives them
TERN_VISION_DETECTOR = 0
# classes of the picture, or of each box of a detector before it
TERN_VISION_CLASSIFIER = 1
# masks of the whole picture
TERN_VISION_SEGMENTER = 2
# key points of the picture, or in each box of a detector before it
TERN_VISION_KEYPOINTS = 3
# an embedding of the picture, or of each box of a detector before it
TERN_VISION_EMBEDDER = 4
# lines of text; without a detector of text the picture is one
TERN_VISION_READER = 5

# Pictures are frames of a video, in order: key points are looked for where they were in the frame before, and the
# detector runs only when somebody is lost, or while fewer than max_results are followed (0: then only when somebody
# is lost). Who is followed keeps the place in the list. See tern_vision_reset.
TERN_VISION_FOLLOW = 1

# tern_track_method:
# Y. Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box, 2022. Boxes of high score are
# matched first, then those of low score to the tracks that are left. The box of a track is smoothed.
TERN_TRACK_BYTE = 0
# J. Cao et al., Observation-Centric SORT, 2023. Better where objects turn, dance or are hidden for long: it
# compares directions of motion too, and goes back over the time in which an object was not seen. The box of a
# track is that of the detector.
TERN_TRACK_OCSORT = 1
# N. Aharon et al., BoT-SORT: Robust Associations Multi-Pedestrian Tracking, 2022. As BYTE, with width and height on
# their own; follows a camera that moves, and knows objects by their look, where these are given. Tells tracks from
# their first frame on.
TERN_TRACK_BOTSORT = 2

# The host's own thread pool: calls task(task_user, i) once for every i in [0, n) and returns when all have returned.
# Calls may run in any order and on any thread.
tern_parallel_fn = CFUNCTYPE(None, c_void_p, c_int32, CFUNCTYPE(None, c_void_p, c_int32), c_void_p)

# What happens beside the results. `message` is one line of UTF-8, valid during the call. Called by the thread whose
# call of the library it is about, so by any; it may call the library, but not with the objects of that call
# (TERN_ERR_STATE).
# level  0 error        a model could not be loaded, a session not be made, a run or plan failed (not: was cancelled or
# late)
#        1 warning      right, but slow: nodes in plain loops; plans that push each other out; models of a task that
#                       may not belong together
#        2 information  models loaded, backends opened, sessions and plans made, with times and bytes
#        3 detail       each node that does not run as the backend in front would: where it runs, and why
tern_log_fn = CFUNCTYPE(None, c_void_p, c_int32, c_char_p)


class tern_error(Structure):
    """Details of an error. Strings are UTF-8, cut at the end where too long, always terminated."""

    _fields_ = [
        # TERN_ERROR_INIT sets it
        ("struct_size", c_uint32),
        ("code", c_int32),
        # what was wrong, where, what to do
        ("message", c_char * 480),
        # operator, or ""
        ("op", c_char * 48),
        # node, tensor or file entry, or ""
        ("node", c_char * 96),
        # byte in the file, or UINT64_MAX
        ("file_offset", c_uint64),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_error), file_offset=2**64 - 1), **values})


class tern_allocator(Structure):
    """Memory for tensors, arenas, states and changed or re-ordered weights. NULL members are not allowed.
    allocate  returns `bytes` (> 0) aligned to `alignment` (a power of two, at most 4096), or NULL when there is none.
    release   takes back what allocate gave, with the same `bytes`.
    Threads   both may be called by any thread."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("user", c_void_p),
        ("allocate", CFUNCTYPE(c_void_p, c_void_p, c_size_t, c_size_t)),
        ("release", CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_allocator)), **values})


class tern_context_options(Structure):
    _fields_ = [
        # TERN_CONTEXT_OPTIONS_INIT sets it
        ("struct_size", c_uint32),
        # threads of a run including the caller's; 0 = CPUs that this process may use; at most 256
        ("num_threads", c_int32),
        # bit i: worker threads may run on CPU i (0..63); 0 = not pinned
        ("affinity_mask", c_uint64),
        # tern_wait
        ("wait", c_int32),
        # messages up to this level reach `log`
        ("log_level", c_int32),
        # copied; NULL = the C library's
        ("allocator", POINTER(tern_allocator)),
        # NULL = own pool, started at the first run that needs it
        ("parallel", tern_parallel_fn),
        ("parallel_user", c_void_p),
        # NULL = silent
        ("log", tern_log_fn),
        ("log_user", c_void_p),
        # tern_denormals
        ("denormals", c_int32),
        # tern_tiles
        ("tiles", c_int32),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_context_options)), **values})


class tern_device_info(Structure):
    """Devices of the backends. Index 0 is always "cpu"; the second device of a backend is called "NAME:1". "onednn" runs
    convolutions and matrix products with oneDNN 3.x in the CPU's memory, where that library is found at run time: the
    file that the environment variable TERN_ONEDNN_LIBRARY names, or libdnnl.so.3 where the system looks for libraries.
    It stays loaded to the end of the process."""

    _fields_ = [
        ("struct_size", c_uint32),
        # name for tern_session_options.backends
        ("backend", c_char * 32),
        # e.g. the CPU's name and its instruction set in use
        ("device", c_char * 128),
        # of the device; 0 = unknown
        ("memory_bytes", c_uint64),
        # 1 if a session can be made on it
        ("available", c_int32),
        # why not available, or ""
        ("reason", c_char * 128),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_device_info)), **values})


class tern_limits(Structure):
    """Limits of what a file may ask for; 0 = default (in brackets). A file beyond one is refused with TERN_ERR_LIMIT."""

    _fields_ = [
        ("struct_size", c_uint32),
        # [8] dims of a tensor
        ("max_rank", c_uint32),
        # [1 TiB]
        ("max_file_bytes", c_uint64),
        # [256 MiB] the file without weights
        ("max_metadata_bytes", c_uint64),
        # [1,000,000] values of all graphs
        ("max_tensors", c_uint64),
        # [1,000,000]
        ("max_nodes", c_uint64),
        # [10,000] signatures and sub-graphs
        ("max_graphs", c_uint64),
        # [16] sub-graphs within sub-graphs
        ("max_depth", c_uint64),
        # [65,536]
        ("max_name_bytes", c_uint64),
        # [1 TiB] one tensor, in the file or planned
        ("max_tensor_bytes", c_uint64),
        # [1 TiB] memory of one plan; also of all states
        ("max_planned_bytes", c_uint64),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_limits)), **values})


class tern_load_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        # TERN_LOAD_*
        ("flags", c_uint32),
        # NULL = defaults
        ("limits", POINTER(tern_limits)),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_load_options)), **values})


class tern_tensor_info(Structure):
    """One tensor of a model. Strings are borrowed from the model."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("dtype", c_int32),
        ("rank", c_int32),
        # 1: a run-time scalar (rank 0, i64): a new value never makes a new plan; 2: set by the session itself
        ("is_scalar", c_int32),
        ("name", c_char_p),
        # -1 where the size varies: of an output with the sizes of the inputs, or with data
        ("dims", c_int64 * 8),
        # inputs: smallest and largest size allowed, equal to dims where fixed
        ("min_dims", c_int64 * 8),
        ("max_dims", c_int64 * 8),
        # parameters, states: how they are stored, as "plain", "panel32"
        ("encoding", c_char_p),
        # parameters, states: bytes stored; 0 otherwise
        ("bytes", c_uint64),
        # inputs: a size that varies must be a multiple of this; 1 otherwise
        ("step_dims", c_int64 * 8),
        # Outputs with a dim of -1: how the dims follow from those of the inputs, as "batch, floor(width / 8), 6625", by the
        # names that the file gives to the sizes; "?" for what depends on data or is not followed. NULL otherwise.
        ("sizes", c_char_p),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_tensor_info)), **values})


class tern_session_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        # TERN_SESSION_*
        ("flags", c_uint32),
        # names in order of preference, separated by commas ("onednn,cpu"); NULL = "cpu". What none of them takes runs on the
        # CPU. "reference" runs the model's nodes as they are written, in plain loops: the oracle of all others
        ("backends", c_char_p),
        # retained; NULL = the file's own
        ("parameters", c_void_p),
        # retained; NULL = a new one
        ("state", c_void_p),
        # plans kept for different input shapes; 0 = 8
        ("max_plans", c_int32),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_session_options)), **values})


class tern_run_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        # 0; unknown bits give TERN_ERR_INVALID_ARGUMENT
        ("flags", c_uint32),
        # NULL = cannot be cancelled; borrowed during the call
        ("cancel", c_void_p),
        # nanoseconds from the start of the call; 0 = none. Both are looked at between nodes, and between the steps of making
        # a plan
        ("timeout_ns", c_uint64),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_run_options)), **values})


class tern_memory_report(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        # kept, one for each combination of input shapes; at most max_plans for each signature. Where sizes depend on data,
        # one more for each size that came by, of which max_plans are kept
        ("num_plans", c_int32),
        # activations of the largest plan, all backends
        ("arena_bytes", c_uint64),
        # most bytes alive at one node of that plan: no placement can be smaller
        ("arena_bound", c_uint64),
        # work space of kernels, of that plan
        ("scratch_bytes", c_uint64),
        # copies of weights in another order, tables, of that plan
        ("prepared_bytes", c_uint64),
        # weights used in place from the file
        ("mapped_bytes", c_uint64),
        ("state_bytes", c_uint64),
        # changed parameters
        ("overlay_bytes", c_uint64),
        # pool of output tensors
        ("output_bytes", c_uint64),
        # activations, work space and copies of weights of all num_plans plans that are kept
        ("plan_bytes", c_uint64),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_memory_report)), **values})


class tern_placement(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        # tern_placement_kind
        ("kind", c_int32),
        # borrowed until the session's next call
        ("node", c_char_p),
        # operator, with what was fused into it: "conv2d+relu"
        ("op", c_char_p),
        ("backend", c_char_p),
        # composite operator that it came from, or ""
        ("origin", c_char_p),
        # why not on the preferred backend, or ""
        ("reason", c_char_p),
        # sum over runs; 0 without TERN_SESSION_PROFILE
        ("time_ns", c_double),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_placement)), **values})


class tern_intermediate(Structure):
    """What the nodes of the latest run of a signature computed, in order of execution. What was fused into one kernel is
    one node; sub-graphs of control flow are not looked into. To compare two sessions, match by name: it belongs to the
    value in the model, whatever a backend fused."""

    _fields_ = [
        ("struct_size", c_uint32),
        # of the value; not empty, not given twice; borrowed until the session's next call, as the others
        ("name", c_char_p),
        # or ""
        ("node", c_char_p),
        # operator, with what was fused into it: "conv2d+relu"
        ("op", c_char_p),
        # one that is retained is not overwritten by later runs
        ("tensor", c_void_p),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_intermediate)), **values})


class tern_call_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        # TERN_CALL_*
        ("flags", c_uint32),
        # The set of parameters that the model reads: they become parameters of the new model, "SET/NAME". Calls with the
        # same set share it. NULL: the set without a name, whose parameters are called as in the model.
        ("set", c_char_p),
        # What a set that this call makes begins with; NULL = the model's own.
        ("parameters", c_void_p),
        # num_values names of parameters of the model, or of values inside it, and what stands in their place. A name that
        # both have means the parameter; so it does for tern_graph_find, unless the call has a name.
        ("names", POINTER(c_char_p)),
        ("values", POINTER(c_int32)),
        ("num_values", c_int32),
        # share of the batch in new running statistics; 0 = 0.1
        ("statistics_momentum", c_float),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_call_options)), **values})


class tern_trainer_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        # TERN_TRAINER_*
        ("flags", c_uint32),
        # the signature that trains; NULL = "step"
        ("step", c_char_p),
        # as in tern_session_options; NULL = "cpu"
        ("backends", c_char_p),
        # the run-time scalar "seed" of all signatures
        ("seed", c_uint64),
        # most bytes that the step may take beside the model itself: what is learnt, states, activations, work space; 0 = no
        # limit. Where activations would pass it, some are computed again on the way back: the same bits, more time
        ("budget", c_uint64),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_trainer_options)), **values})


class tern_trainer_memory(Structure):
    """What the step takes beside the model, known before the first one."""

    _fields_ = [
        ("struct_size", c_uint32),
        # nodes that are computed a second time to keep within the budget
        ("again", c_int32),
        # of what is learnt
        ("parameter_bytes", c_uint64),
        # of moments and other states
        ("state_bytes", c_uint64),
        ("activation_bytes", c_uint64),
        # work space of kernels, copies of weights in another order, outputs
        ("work_bytes", c_uint64),
        # activations, if nothing were computed again
        ("unlimited_bytes", c_uint64),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_trainer_memory)), **values})


class tern_token_info(Structure):
    """Borrowed from the tokenizer; texts are not terminated and may hold any bytes."""

    _fields_ = [
        ("struct_size", c_uint32),
        # TERN_TOKEN_*
        ("flags", c_uint32),
        # what it gives in the middle of a text
        ("text", c_char_p),
        ("text_bytes", c_size_t),
        # how the vocabulary spells it, in byte-level ones the bytes themselves
        ("piece", c_char_p),
        ("piece_bytes", c_size_t),
        # of vocabularies that have scores; 0
        ("score", c_double),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_token_info)), **values})


class tern_data_options(Structure):
    """Text of the options is not needed after the call. Those of tokens are ignored where there are none."""

    _fields_ = [
        ("struct_size", c_uint32),
        # TERN_DATA_*
        ("flags", c_uint32),
        # of the order and of augmentations
        ("seed", c_uint64),
        # tokens of a sample, up to 2^20; 0 = 512
        ("length", c_int32),
        # of records: tern_data_kind
        ("kind", c_int32),
        # texts: what stands between documents; NULL = blank lines, "" = one document
        ("separator", c_char_p),
        # piece of the token that stands behind a text; NULL = the one that the tokenizer knows
        # as the end of a text, or calls "<|endoftext|>", "</s>" or the like
        ("end", c_char_p),
        # chats: as in tern_chat_options
        ("template_name", c_char_p),
        # chats: as in tern_chat_create
        ("template_source", c_char_p),
        # [num_classes] names of labels, as of the data that a model was trained with; NULL =
        # those that are in the file, sorted
        ("classes", POINTER(c_char_p)),
        # labels are below it; 0 = the file says how many there are
        ("num_classes", c_int32),
        ("reserved", c_int32),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_data_options)), **values})


class tern_data_field(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("dtype", c_int32),
        # borrowed from the data
        ("name", c_char_p),
        # [rank] of one sample
        ("dims", c_int64 * 8),
        ("rank", c_int32),
        ("reserved", c_int32),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_data_field)), **values})


class tern_augmentation_options(Structure):
    """Changes pictures as they are drawn; what becomes of each follows from the seed and its position alone. First they are
    moved, then mirrored, then pixel x becomes ((x - m) c + m) b, m being the mean of the picture, b and c uniform around
    1. u8 is rounded and cut to 0..255."""

    _fields_ = [
        ("struct_size", c_uint32),
        # index of a field u8 or f32 [height, width, channels]
        ("field", c_int32),
        # probability with which left and right are swapped
        ("flip", c_float),
        # most pixels by which it is moved along each axis, less than its size
        ("shift", c_int32),
        # what comes in from outside when it is moved
        ("fill", c_float),
        # b is from 1 - brightness to 1 + brightness; at most 1
        ("brightness", c_float),
        # c likewise
        ("contrast", c_float),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_augmentation_options)), **values})


class tern_tokenizer_train_options(Structure):
    """---- tokenizers made of texts ----"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("num_special", c_int32),
        # [num_special] special tokens, which get the first ids: "<|endoftext|>"
        ("special", POINTER(c_char_p)),
        # pairs that are there less often are not merged; 0 = 1
        ("min_count", c_int64),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_tokenizer_train_options)), **values})


class tern_chat_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        # TERN_CHAT_NO_THINKING
        ("flags", c_uint32),
        # of a family; NULL = recognised
        ("template_name", c_char_p),
        # "26 Jul 2024", for templates that tell the date (Llama 3.1); NULL = today's
        ("date", c_char_p),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_chat_options)), **values})


class tern_chat_message(Structure):
    _fields_ = [
        # of all messages of a list the same
        ("struct_size", c_uint32),
        # 0
        ("flags", c_uint32),
        # "system", "user" or "assistant"
        ("role", c_char_p),
        # any bytes, UTF-8 is expected; special tokens that it spells stay text. NULL if empty
        ("content", c_char_p),
        ("content_bytes", c_size_t),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_chat_message)), **values})


class tern_generator_options(Structure):
    """Steps of choosing a token, in this order: the bias is added (tern_generator_set_bias); tokens that the grammar does
    not allow are left out (tern_generator_set_grammar); logits of tokens that are there already are made smaller by the
    penalty; all are divided by the temperature; of the top_k largest, the fewest stay whose probabilities reach top_p;
    of these, those with at least min_p times the largest probability. One of the rest is drawn."""

    _fields_ = [
        ("struct_size", c_uint32),
        # 0 = all
        ("top_k", c_int32),
        # as in tern_session_options; NULL = "cpu"
        ("backends", c_char_p),
        # 0 = always the largest logit: the other fields but the penalty have no meaning
        ("temperature", c_float),
        # in (0, 1]; 0 = 1
        ("top_p", c_float),
        # in [0, 1)
        ("min_p", c_float),
        # positive logits are divided by it, others multiplied; 0 = 1, which is none
        ("repetition_penalty", c_float),
        # the same seed, tokens and options choose the same, whatever the number of threads
        ("seed", c_uint64),
        # tokens from the first one on that never slide away; at most capacity - 2
        ("keep", c_int64),
        # tern_when_full
        ("when_full", c_int32),
        # how many of the largest tern_generator_log_probabilities lends, up to 1000; 0 = none
        ("log_probabilities", c_int32),
        # tokens that are guessed and computed together with the one before them, 0 to 64: what
        # followed when the last two or three were there before, or what tern_generator_set_draft
        # says. The results are the same in every bit; texts that repeat themselves take less
        # time, others a little more
        ("look_ahead", c_int64),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_generator_options)), **values})


class tern_picture(Structure):
    """A picture in the caller's memory, borrowed during a call. The region is cut out, turned by `rotation` and then
    mirrored; what comes of it is the upright picture, in whose pixels all results are. EXIF orientations are
      1: 0    2: 0, mirrored    3: 180    4: 180, mirrored    5: 90, mirrored    6: 90    7: 270, mirrored    8: 270"""

    _fields_ = [
        ("struct_size", c_uint32),
        # tern_picture_format
        ("format", c_int32),
        ("width", c_int32),
        # pixels as stored, 1..65536
        ("height", c_int32),
        # degrees clockwise that turn the stored picture upright: 0, 90, 180, 270
        ("rotation", c_int32),
        # 1: left and right are swapped after the rotation (a front camera); 0: not
        ("mirrored", c_int32),
        ("planes", POINTER(c_uint8) * 3),
        # bytes from one row to the next, >= bytes of a row
        ("strides", c_int64 * 3),
        # tern_picture_matrix
        ("matrix", c_int32),
        # tern_picture_range
        ("range", c_int32),
        # tern_picture_alpha
        ("alpha", c_int32),
        # 0xFFRRGGBB, what shows through where A is below 255; 0 = white
        ("background", c_uint32),
        ("region_x", c_int32),
        # upper left pixel of the region, as stored; may be odd
        ("region_y", c_int32),
        ("region_width", c_int32),
        # its size, within the picture; all four 0 = the whole picture
        ("region_height", c_int32),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_picture)), **values})


class tern_detection(Structure):
    """One of the things that a task found in a picture: an object, person, face, line of text; or a class of the whole
    picture, whose box is the picture then."""

    _fields_ = [
        # Pixels of the upright picture: left, top, right, bottom; within the picture. Of key points: the detector's box,
        # which may be a head or a palm; without a detector, and where somebody is followed, the box around the points.
        ("x0", c_float),
        # Pixels of the upright picture: left, top, right, bottom; within the picture. Of key points: the detector's box,
        # which may be a head or a palm; without a detector, and where somebody is followed, the box around the points.
        ("y0", c_float),
        # Pixels of the upright picture: left, top, right, bottom; within the picture. Of key points: the detector's box,
        # which may be a head or a palm; without a detector, and where somebody is followed, the box around the points.
        ("x1", c_float),
        # Pixels of the upright picture: left, top, right, bottom; within the picture. Of key points: the detector's box,
        # which may be a head or a palm; without a detector, and where somebody is followed, the box around the points.
        ("y1", c_float),
        # 0..1
        ("score", c_float),
        # index; see tern_vision_label. 0 where a model has one class
        ("label", c_int32),
    ]


class tern_keypoint(Structure):
    _fields_ = [
        ("x", c_float),
        # pixels of the upright picture; may lie outside it
        ("y", c_float),
        # depth, in pixels, smaller = nearer; 0 if the model gives none
        ("z", c_float),
        # 0..1; 1 if the model gives none
        ("visibility", c_float),
    ]


class tern_mask(Structure):
    """Which pixels of the upright picture belong to a thing."""

    _fields_ = [
        ("x", c_int32),
        # the picture's pixel that the first one of the mask is
        ("y", c_int32),
        ("width", c_int32),
        # within the picture; 0 = no pixel
        ("height", c_int32),
        # [height][width]: 0..255, how sure; 128 and more = belongs to it
        ("pixels", POINTER(c_uint8)),
    ]


class tern_vision_result(Structure):
    """What was found in one picture. All lists have num_detections entries or are NULL where the task gives no such thing.
    Later versions add lists at the end."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("width", c_int32),
        # of the upright picture
        ("height", c_int32),
        # best first; lines of text in reading order; TERN_VISION_FOLLOW: by places
        ("num_detections", c_int32),
        ("detections", POINTER(tern_detection)),
        # [num][8]: x, y of the corners of a box that may be turned, clockwise from its
        # own upper left one; text, oriented boxes
        ("corners", POINTER(c_float)),
        # of each detection
        ("num_keypoints", c_int32),
        ("embedding_size", c_int32),
        # [num][num_keypoints]
        ("keypoints", POINTER(tern_keypoint)),
        # [num][embedding_size]
        ("embeddings", POINTER(c_float)),
        ("masks", POINTER(tern_mask)),
        # UTF-8, ends with 0
        ("texts", POINTER(c_char_p)),
        # [height][width]: the class of each pixel; segmenters of several classes
        ("class_map", POINTER(c_uint8)),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_vision_result)), **values})


class tern_vision_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        # 0 = the model's own, likewise the next two
        ("max_results", c_int32),
        # 0..1; of boxes, and of what looks into them
        ("min_score", c_float),
        # IoU above which the lower score is dropped
        ("max_overlap", c_float),
        # TERN_VISION_FOLLOW: least cut-off frequency of the One-Euro filter of key points, in Hz
        # (Casiez et al., 2012; its beta is 80 for speeds in sizes of the thing a second). 0.05 is
        # usual; 0 = no filter
        ("smoothing", c_float),
        # of smoothing, in Hz; 0 = 30
        ("frame_rate", c_float),
        # as tern_session_options; NULL = "cpu"
        ("backends", c_char_p),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_vision_options)), **values})


class tern_tracker_options(Structure):
    """0 stands for the method's own value, which is that of its authors; it is behind the arrow, for BYTE, OCSORT and
    BOTSORT."""

    _fields_ = [
        ("struct_size", c_uint32),
        # tern_track_method
        ("method", c_int32),
        # a detection above it is matched first, 0..1 -> 0.6, 0.6, 0.6
        ("high_score", c_float),
        # one between this and high_score is matched to what is left, 0..1
        # -> 0.1, none (so: 1), 0.1
        ("low_score", c_float),
        # least score with which a new track begins, 0..1 -> high_score + 0.1, high_score,
        # high_score + 0.1
        ("new_score", c_float),
        # least IoU of a track with its detection, 0..1; BYTE, BOTSORT: times the detection's
        # score -> 0.1, 0.3, 0.2
        ("min_overlap", c_float),
        # frames a second of a usual video of this kind -> 30
        ("frame_rate", c_float),
        # seconds after which a track that is not seen ends -> 1
        ("max_lost", c_float),
        # 0: a track keeps its label, and takes only detections with it; 1: labels do not matter
        ("across_labels", c_int32),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_tracker_options)), **values})


class tern_track_frame(Structure):
    """A frame of a video, borrowed during a call."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("num_detections", c_int32),
        # any order; those without an area are left out
        ("detections", POINTER(tern_detection)),
        # seconds, of any origin, later than the frame before, up to 1e15; or negative: one frame after it
        ("time", c_double),
        # [num_detections][embedding_size]: what each looks like (of any length but 0); or NULL
        ("embeddings", POINTER(c_float)),
        # [2][3]: x, y of the frame before are at camera * (x, y, 1) in this; NULL: it stands
        ("camera", POINTER(c_float)),
        # the same in all frames
        ("embedding_size", c_int32),
        # 0
        ("reserved", c_int32),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_track_frame), time=-1), **values})


class tern_track(Structure):
    _fields_ = [
        # from 1, never given twice
        ("id", c_int64),
        ("x0", c_float),
        ("y0", c_float),
        ("x1", c_float),
        # pixels, as the detections'
        ("y1", c_float),
        # of the detection
        ("score", c_float),
        ("label", c_int32),
        # index in the frame
        ("detection", c_int32),
        # frames since the track began
        ("age", c_int32),
    ]


class tern_camera_motion_options(Structure):
    """0 stands for the default, behind the arrow."""

    _fields_ = [
        ("struct_size", c_uint32),
        # the picture is made smaller until no side has more pixels, 64..4096 -> 640
        ("max_side", c_int32),
        # 16..10000 -> 500
        ("max_corners", c_int32),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_camera_motion_options)), **values})


class tern_import_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        # 0
        ("flags", c_uint32),
        # "NAME=1x3x480x640;NAME2=..." overrides declared shapes; NULL = none. Names may hold '=' and ';': the last '='
        # before a shape counts
        ("input_shapes", c_char_p),
        # name of a task recipe, a file that ends in ".recipe", "none", or NULL = the one that fits the model best, if any
        ("recipe", c_char_p),
        # text of a label file, one label a line; NULL = the file beside the source that has its name and the ending .txt, if
        # any
        ("labels", c_char_p),
        # of all files that are read together; 0 = 64 GiB
        ("max_file_bytes", c_uint64),
        # ONNX: "NAME=16000;NAME2=..." inputs of fixed shape that become constants (each element this number); NULL = none
        ("input_values", c_char_p),
        # "detector", "classifier", ...: recipes of this task alone; NULL = any
        ("task", c_char_p),
        # "KEY=VALUE" lines: keys of the task's metadata that replace the recipe's, by their whole name or its last part
        # ("score" is result.score); line ends within a value are "\n" in two characters; NULL = none
        ("settings", c_char_p),
        # language models: "f32", "f16", "q8_0" (8 bits, a scale for 32), "q4_0" and "q4_1" (4 bits, a scale, or a scale and
        # a least value, for 32; the embedding and the head are q8_0), or "ternary": what layers multiply with is -s, 0 and s
        # in two bits, with a scale for each row, and their inputs are rounded to 8 bits as BitNet b1.58 does; the rest is
        # q8_0. Models whose weights are others are refused then. NULL = ternary where the source says so; of GGUF files 4
        # bits where they have 4; else q8_0
        ("weights", c_char_p),
        # language models: keys and values, "f32", "f16" or "int8" (a scale for each position and
        # head); NULL = f32 with weights f32, else f16
        ("cache", c_char_p),
        # language models: what meets weights of 8 and 4 bits, "int16" (rounded to 16 bits with a scale for 32, for products
        # of integers: several times as fast) or "f32"; NULL = int16
        ("activations", c_char_p),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_import_options)), **values})


class tern_task_key(Structure):
    """One key of the metadata of tasks. Borrowed for ever."""

    _fields_ = [
        ("struct_size", c_uint32),
        # "result.score"
        ("name", c_char_p),
        # "text", "choice", "number", "numbers", "lines", "output" or "anchors"
        ("kind", c_char_p),
        # without the key; "" = none
        ("fallback", c_char_p),
        # of a choice, separated by '|'; else ""
        ("words", c_char_p),
        # one sentence
        ("about", c_char_p),
        ("min", c_double),
        # of numbers
        ("max", c_double),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_task_key)), **values})


class tern_recipe(Structure):
    """One of the recipes that come with the library: what the outputs of a kind of model mean. Borrowed for ever."""

    _fields_ = [
        ("struct_size", c_uint32),
        # of tern_import_options.recipe
        ("name", c_char_p),
        # "detector", ...
        ("task", c_char_p),
        # a sentence or two: which models
        ("about", c_char_p),
    ]

    def __init__(self, **values):
        super().__init__(**{**dict(struct_size=sizeof(tern_recipe)), **values})


# name: (result, parameters, their names, what it does)
FUNCTIONS = {
    "tern_version": (
        c_int32, [],
        "",
        'Version of the library that is running, as major * 10000 + minor * 100 + patch.'),
    "tern_dtype_name": (
        c_char_p, [c_int32],
        "dtype",
        'Name of an element type ("f32"), or "?" for a number that is none. Static storage.'),
    "tern_dtype_size": (
        c_size_t, [c_int32],
        "dtype",
        'Bytes of one element, 0 for a number that is no element type.'),
    "tern_last_error": (
        c_int32, [POINTER(tern_error)],
        "error",
        'Copies the details of the last call of this thread that failed.\nerror   filled up to its struct_size; code TERN_OK and empty texts if no call failed yet.\nErrors  TERN_ERR_INVALID_ARGUMENT  error is NULL or its struct_size is too small\nThreads details are kept per thread.'),
    "tern_last_error_message": (
        c_char_p, [],
        "",
        'Text of the last error of this thread ("" if none). Borrowed: valid until the next failing call of this thread.'),
    "tern_status_name": (
        c_char_p, [c_int32],
        "code",
        'Name of a code, e.g. "TERN_ERR_SHAPE"; "TERN_ERR_?" for an unknown number. Static storage.'),
    "tern_context_options_init": (
        c_int32, [POINTER(tern_context_options), c_size_t],
        "options, size",
        "Fills `options` with defaults; for bindings that cannot use the macro. size = sizeof of the caller's struct."),
    "tern_context_create": (
        c_int32, [POINTER(tern_context_options), POINTER(c_void_p)],
        "options, context",
        'options NULL = defaults. Errors: TERN_ERR_INVALID_ARGUMENT, TERN_ERR_MEMORY.'),
    "tern_context_release": (
        None, [c_void_p],
        "context",
        'Models, sessions and tensors made in a context keep it alive. NULL is fine.'),
    "tern_context_num_devices": (
        c_int32, [c_void_p],
        "context",
        ''),
    "tern_context_get_device": (
        c_int32, [c_void_p, c_int32, POINTER(tern_device_info)],
        "context, index, info",
        'Errors: TERN_ERR_INVALID_ARGUMENT for an index outside [0, num_devices).'),
    "tern_cancel_create": (
        c_int32, [POINTER(c_void_p)],
        "cancel",
        ''),
    "tern_cancel_signal": (
        None, [c_void_p],
        "cancel",
        'Any thread, any time. Runs that were given `cancel` return TERN_ERR_CANCELLED soon.'),
    "tern_cancel_reset": (
        None, [c_void_p],
        "cancel",
        'Makes it usable again. Not while a run uses it.'),
    "tern_cancel_release": (
        None, [c_void_p],
        "cancel",
        ''),
    "tern_tensor_create": (
        c_int32, [c_void_p, c_int32, POINTER(c_int64), c_int32, POINTER(c_void_p)],
        "context, dtype, dims, rank, tensor",
        "Makes a tensor of zeros in memory of the context's allocator (64-byte aligned).\ndims    [rank], each >= 0; rank 0..8 (0 = a scalar); NULL allowed for rank 0.\nErrors  TERN_ERR_INVALID_ARGUMENT, TERN_ERR_SHAPE (negative dim, size overflows), TERN_ERR_MEMORY."),
    "tern_tensor_wrap": (
        c_int32, [c_void_p, c_int32, POINTER(c_int64), c_int32, c_void_p, c_size_t, CFUNCTYPE(None, c_void_p), c_void_p, POINTER(c_void_p)],
        "context, dtype, dims, rank, data, bytes, release, release_user, tensor",
        'Wraps memory of the caller, who keeps it valid and unmoved until the last reference is released.\ndata     aligned to the element size; NULL only if the tensor has no element.\nbytes    size of the memory; at least elements * element size.\nrelease  called once with release_user when the tensor goes, by the thread that released last; NULL = nothing to\n         do.'),
    "tern_tensor_view": (
        c_int32, [c_void_p, c_int64, c_int64, POINTER(c_void_p)],
        "tensor, begin, end, view",
        'A view of rows [begin, end) of the first dimension; shares memory and keeps `tensor` alive.\nErrors: TERN_ERR_SHAPE for rank 0 or a range outside the tensor.'),
    "tern_tensor_reshape": (
        c_int32, [c_void_p, POINTER(c_int64), c_int32, POINTER(c_void_p)],
        "tensor, dims, rank, view",
        'A view with other dims and the same number of elements.'),
    "tern_tensor_retain": (
        None, [c_void_p],
        "tensor",
        ''),
    "tern_tensor_release": (
        None, [c_void_p],
        "tensor",
        ''),
    "tern_tensor_dtype": (
        c_int32, [c_void_p],
        "tensor",
        ''),
    "tern_tensor_rank": (
        c_int32, [c_void_p],
        "tensor",
        ''),
    "tern_tensor_dim": (
        c_int64, [c_void_p, c_int32],
        "tensor, axis",
        'Size of a dimension; -1 if axis is outside [0, rank).'),
    "tern_tensor_num_elements": (
        c_int64, [c_void_p],
        "tensor",
        ''),
    "tern_tensor_bytes": (
        c_size_t, [c_void_p],
        "tensor",
        ''),
    "tern_tensor_data": (
        c_void_p, [c_void_p],
        "tensor",
        'First element. Borrowed: valid while a reference is held. Do not write to a tensor that a run is using.'),
    "tern_tensor_const_data": (
        c_void_p, [c_void_p],
        "tensor",
        ''),
    "tern_limits_init": (
        c_int32, [POINTER(tern_limits), c_size_t],
        "limits, size",
        ''),
    "tern_load_options_init": (
        c_int32, [POINTER(tern_load_options), c_size_t],
        "options, size",
        ''),
    "tern_model_load_file": (
        c_int32, [c_void_p, c_char_p, POINTER(tern_load_options), POINTER(c_void_p)],
        "context, path, options, model",
        'Loads a model. The file is verified before anything of it is used: a hostile file gives an error. A mapped file must\nnot be truncated while the model lives (the system would stop the process): use TERN_LOAD_COPY where that may happen.\noptions  NULL = defaults\nErrors   TERN_ERR_IO, TERN_ERR_NOT_FOUND (no such file), TERN_ERR_CORRUPT, TERN_ERR_CHECKSUM, TERN_ERR_LIMIT,\n         TERN_ERR_UNSUPPORTED_OP, TERN_ERR_UNSUPPORTED_VERSION, TERN_ERR_MEMORY'),
    "tern_model_load_memory": (
        c_int32, [c_void_p, c_void_p, c_size_t, POINTER(tern_load_options), POINTER(c_void_p)],
        "context, data, bytes, options, model",
        'From memory, which is used in place (aligned to 64 bytes, unchanged while the model lives) unless TERN_LOAD_COPY.'),
    "tern_model_load_descriptor": (
        c_int32, [c_void_p, c_int32, c_uint64, c_uint64, POINTER(tern_load_options), POINTER(c_void_p)],
        "context, descriptor, offset, bytes, options, model",
        "From an open descriptor: `bytes` from `offset` (0 = to the end). The descriptor stays the caller's and may be closed\nafter the call. For assets inside a package. `offset` must be a multiple of 64 unless TERN_LOAD_COPY."),
    "tern_model_retain": (
        None, [c_void_p],
        "model",
        ''),
    "tern_model_release": (
        None, [c_void_p],
        "model",
        ''),
    "tern_model_num_signatures": (
        c_int32, [c_void_p],
        "model",
        ''),
    "tern_model_signature_name": (
        c_char_p, [c_void_p, c_int32],
        "model, signature",
        'Name of a signature; NULL if index is outside [0, num_signatures). Borrowed.'),
    "tern_model_find_signature": (
        c_int32, [c_void_p, c_char_p, POINTER(c_int32)],
        "model, name, signature",
        'Index of a signature by name. Errors: TERN_ERR_NOT_FOUND, whose message lists the names there are.'),
    "tern_model_num_tensors": (
        c_int32, [c_void_p, c_int32, c_int32],
        "model, signature, role",
        'Number of tensors of a role; -1 for an unknown role or signature.'),
    "tern_model_get_tensor": (
        c_int32, [c_void_p, c_int32, c_int32, c_int32, POINTER(tern_tensor_info)],
        "model, signature, role, index, info",
        ''),
    "tern_model_find_tensor": (
        c_int32, [c_void_p, c_int32, c_int32, c_char_p, POINTER(c_int32)],
        "model, signature, role, name, index",
        'Index of an input, output, parameter or state by name. Errors: TERN_ERR_NOT_FOUND.'),
    "tern_model_num_metadata": (
        c_int32, [c_void_p],
        "model",
        'Metadata: UTF-8 key and value pairs. Borrowed from the model.'),
    "tern_model_get_metadata": (
        c_int32, [c_void_p, c_int32, POINTER(c_char_p), POINTER(c_char_p)],
        "model, index, key, value",
        ''),
    "tern_model_find_metadata": (
        c_char_p, [c_void_p, c_char_p],
        "model, key",
        'Value of a key, or NULL.'),
    "tern_model_check_weights": (
        c_int32, [c_void_p],
        "model",
        'Compares the checksum of every weight with the stored one. Errors: TERN_ERR_CHECKSUM names the first that differs.'),
    "tern_model_count_nodes": (
        c_int32, [c_void_p, c_int32, POINTER(c_int64), POINTER(c_int64)],
        "model, signature, nodes, operators",
        'Number of nodes and of distinct operators of a signature, sub-graphs included.'),
    "tern_model_save": (
        c_int32, [c_void_p, c_char_p],
        "model, path",
        'Writes a model that was composed or edited as a file, with its own parameters; the old file is replaced as a whole.\nErrors: TERN_ERR_IO, TERN_ERR_MEMORY, TERN_ERR_UNSUPPORTED in a library without TERN_TRAINING.'),
    "tern_parameters_create": (
        c_int32, [c_void_p, POINTER(c_void_p)],
        "model, parameters",
        ''),
    "tern_parameters_retain": (
        None, [c_void_p],
        "parameters",
        ''),
    "tern_parameters_release": (
        None, [c_void_p],
        "parameters",
        ''),
    "tern_parameters_version": (
        c_uint64, [c_void_p],
        "parameters",
        'Grows with every change.'),
    "tern_parameters_get": (
        c_int32, [c_void_p, c_char_p, POINTER(c_void_p)],
        "parameters, name, tensor",
        'A copy of a parameter as a plain row-major tensor (f32 for encoded ones). Errors: TERN_ERR_NOT_FOUND,\nTERN_ERR_MEMORY.'),
    "tern_parameters_set": (
        c_int32, [c_void_p, c_char_p, c_void_p],
        "parameters, name, tensor",
        "Replaces a parameter in the overlay. Same shape; dtype f32 or the parameter's own. Not while a session bound to it\nruns."),
    "tern_parameters_save": (
        c_int32, [c_void_p, c_char_p, c_char_p],
        "parameters, pattern, path",
        'Writes those that were changed and whose names match the pattern ("*" any characters, "?" one, "{a,b}" either, spaces\nbetween several) as a file of their own, an adapter; the old file is replaced as a whole. Errors: TERN_ERR_NOT_FOUND\nif there is none, TERN_ERR_IO, TERN_ERR_UNSUPPORTED in a library without TERN_TRAINING.'),
    "tern_parameters_load": (
        c_int32, [c_void_p, c_char_p],
        "parameters, path",
        'Replaces the parameters that such a file holds. Errors: TERN_ERR_NOT_FOUND, TERN_ERR_CORRUPT, TERN_ERR_CHECKSUM,\nTERN_ERR_SHAPE (an adapter of another model; the message names the parameter): nothing has changed.'),
    "tern_state_create": (
        c_int32, [c_void_p, POINTER(c_void_p)],
        "model, state",
        ''),
    "tern_state_retain": (
        None, [c_void_p],
        "state",
        ''),
    "tern_state_release": (
        None, [c_void_p],
        "state",
        ''),
    "tern_state_fork": (
        c_int32, [c_void_p, POINTER(c_void_p)],
        "state, copy",
        'An independent copy. Pages are shared until one of the two writes them: that costs a reference each.'),
    "tern_state_length": (
        c_int64, [c_void_p],
        "state",
        'Positions that are valid; runs of a signature with a position append after it.'),
    "tern_state_truncate": (
        c_int32, [c_void_p, c_int64],
        "state, length",
        'Forgets all positions from `length` on, and gives their pages back. Errors: TERN_ERR_INVALID_ARGUMENT if negative or\nbeyond the present length.'),
    "tern_state_get": (
        c_int32, [c_void_p, c_char_p, POINTER(c_void_p)],
        "state, name, tensor",
        'A copy of one state tensor / replaces it (same shape and type; f32 where its encoding is not "plain"). One in pages\nis [length, heads, dim].'),
    "tern_state_set": (
        c_int32, [c_void_p, c_char_p, c_void_p],
        "state, name, tensor",
        ''),
    "tern_state_save": (
        c_int32, [c_void_p, c_char_p],
        "state, path",
        'Writes to a new file, syncs it and renames it over `path`: an interrupted save leaves the old file or the new one.'),
    "tern_state_load": (
        c_int32, [c_void_p, c_char_p],
        "state, path",
        "Replaces the content by a saved one of the same model. On error the state is as it was. Nobody may cut the file\nmeanwhile.\nErrors: TERN_ERR_IO, TERN_ERR_CORRUPT, TERN_ERR_CHECKSUM, TERN_ERR_SHAPE (another model's)."),
    "tern_session_options_init": (
        c_int32, [POINTER(tern_session_options), c_size_t],
        "options, size",
        ''),
    "tern_session_create": (
        c_int32, [c_void_p, POINTER(tern_session_options), POINTER(c_void_p)],
        "model, options, session",
        'Errors: TERN_ERR_INVALID_ARGUMENT, TERN_ERR_NOT_FOUND (a backend; the message lists those there are),\nTERN_ERR_UNSUPPORTED (a backend that this machine cannot run; the message says what is missing), TERN_ERR_MEMORY.'),
    "tern_session_release": (
        None, [c_void_p],
        "session",
        'The model stays alive as long as its sessions.'),
    "tern_session_state": (
        c_void_p, [c_void_p],
        "session",
        'The state that the session reads and writes. Borrowed.'),
    "tern_session_set_state": (
        c_int32, [c_void_p, c_void_p],
        "session, state",
        'Makes later runs use another state of the same model (retained).'),
    "tern_run_options_init": (
        c_int32, [POINTER(tern_run_options), c_size_t],
        "options, size",
        ''),
    "tern_session_run": (
        c_int32, [c_void_p, c_int32, POINTER(c_void_p), c_int32, POINTER(c_void_p), c_int32, POINTER(tern_run_options)],
        "session, signature, inputs, n_inputs, outputs, n_outputs, options",
        "Runs one signature.\ninputs   n_inputs tensors in signature order; shapes within the declared ranges. NULL: the bound one; NULL also for\nis_scalar 2.\noutputs  filled on success, n_outputs in signature order: retained for the caller, who releases each; never\noverwritten\n         while held. An entry for a bound output is the bound tensor.\nErrors   TERN_ERR_SHAPE, TERN_ERR_TYPE  an input does not fit (the message names it)\n         TERN_ERR_INDEX      an index in an input is out of range\n         TERN_ERR_NOT_FINITE the graph requires a value to be finite that is not; states and parameters are as before\n         TERN_ERR_CANCELLED, TERN_ERR_DEADLINE  states are as before the run; the session may run again\n         TERN_ERR_LIMIT      a state's capacity or a limit of the model is passed\n         TERN_ERR_DEVICE_LOST create a new session\n         TERN_ERR_STATE      an earlier run failed (no memory, a lost device) while it wrote the parameters or the\n                             state:\n                             parts are new, parts old. Create new parameters; load a saved state, or create a new one\n         TERN_ERR_STATE      also: another thread is in a call with this session, its state, or parameters that\n                             either writes\nThreads  one call at a time for a session, and for a state; parameters may be read by many at a time, written by one\nalone.\n         A second call is refused with TERN_ERR_STATE and changes nothing. Only tern_session_release must wait by\n         itself"),
    "tern_session_run_sequences": (
        c_int32, [c_void_p, c_int32, POINTER(c_void_p), POINTER(c_int64), c_int32, POINTER(c_void_p), c_int32, POINTER(c_void_p), c_int32, POINTER(tern_run_options)],
        "session, signature, states, counts, n_states, inputs, n_inputs, outputs, n_outputs, options",
        "Runs a signature that takes the rows (tokens) of several sequences: one state each, advanced by different numbers of\nrows. Such a signature has inputs of is_scalar 2 with a dim: they get the sequence and the position of each row, and\nare given as NULL. Sequences may join and leave at any run: plans are made for a few numbers of rows only.\nstates   n_states different states of the model; the session's own is used only if it is among them\ncounts   rows of each; counts[i] rows follow those of the states before it in every input whose first dim is that of\n         the rows. 0 lets a sequence rest. Afterwards tern_state_length has grown by counts[i]\ninputs, outputs  as for tern_session_run; outputs have as many rows as were given. What a row gives depends on its\n         own sequence alone, in every bit\ntern_session_run of such a signature advances the session's own state by all rows.\nErrors   as tern_session_run; also\n         TERN_ERR_INVALID_ARGUMENT a state is given twice or belongs to another model\n         TERN_ERR_SHAPE            the counts do not add up to the rows of the inputs, or one is negative\n         TERN_ERR_LIMIT            a sequence would pass its capacity; none has changed\n         TERN_ERR_UNSUPPORTED      the signature takes one sequence at a time, or the library was built without\n                                   TERN_TEXT\nThreads  as tern_session_run, for all of the states"),
    "tern_session_bind_input": (
        c_int32, [c_void_p, c_int32, c_int32, c_void_p],
        "session, signature, index, tensor",
        'Binds a tensor to an input or output for all later runs (retained; NULL unbinds). A bound output is written in place:\nits shape and type must be those of the result.'),
    "tern_session_bind_output": (
        c_int32, [c_void_p, c_int32, c_int32, c_void_p],
        "session, signature, index, tensor",
        ''),
    "tern_session_run_bound": (
        c_int32, [c_void_p, c_int32, POINTER(tern_run_options)],
        "session, signature, options",
        'A prepared run: all inputs and outputs are bound. Looks nothing up; the fastest way for small models called often.\nErrors: as tern_session_run, and TERN_ERR_STATE if something is not bound.'),
    "tern_session_prepare": (
        c_int32, [c_void_p, c_int32, POINTER(c_int64), c_int32],
        "session, signature, dims, n_dims",
        'Makes the plan for these input shapes ahead of the first run. dims: for each input rank numbers, one after another;\nNULL = the declared shapes (TERN_ERR_SHAPE if they vary).'),
    "tern_session_memory": (
        c_int32, [c_void_p, POINTER(tern_memory_report)],
        "session, report",
        ''),
    "tern_session_num_placements": (
        c_int32, [c_void_p, c_int32],
        "session, signature",
        'Number of entries, in order of execution; -1 before the first plan.'),
    "tern_session_get_placement": (
        c_int32, [c_void_p, c_int32, c_int32, POINTER(tern_placement)],
        "session, signature, index, placement",
        ''),
    "tern_session_num_intermediates": (
        c_int32, [c_void_p, c_int32],
        "session, signature",
        '0 before the first run, after one that failed, and without TERN_SESSION_KEEP_INTERMEDIATES.'),
    "tern_session_get_intermediate": (
        c_int32, [c_void_p, c_int32, c_int32, POINTER(tern_intermediate)],
        "session, signature, index, intermediate",
        ''),
    "tern_session_write_profile": (
        c_int32, [c_void_p, c_char_p],
        "session, path",
        'Writes the recorded times as a trace file for Perfetto or chrome://tracing (JSON).\nErrors: TERN_ERR_STATE without TERN_SESSION_PROFILE, TERN_ERR_IO.'),
    "tern_graph_create": (
        c_int32, [c_void_p, POINTER(c_void_p)],
        "context, graph",
        'Errors: TERN_ERR_MEMORY; TERN_ERR_UNSUPPORTED in a library without TERN_TRAINING.'),
    "tern_graph_release": (
        None, [c_void_p],
        "graph",
        ''),
    "tern_graph_begin": (
        c_int32, [c_void_p, c_char_p],
        "graph, signature",
        'Begins a signature. Signatures of a graph share parameters and states; values of earlier ones are gone.'),
    "tern_graph_input": (
        c_int32, [c_void_p, c_char_p, c_int32, POINTER(c_int64), c_int32],
        "graph, name, dtype, dims, rank",
        'An input of the signature. dims [rank].'),
    "tern_graph_scalar": (
        c_int32, [c_void_p, c_char_p],
        "graph, name",
        'A run-time scalar: an i64 input of rank 0. Trainers give "step" (from 1 on) and "seed" by these names. The same name\nagain gives the same value.'),
    "tern_graph_parameter": (
        c_int32, [c_void_p, c_char_p, c_void_p],
        "graph, name, tensor",
        'A parameter of the model with its first content (copied), or, with tensor NULL, the one of this name that is there\nalready, in any signature.'),
    "tern_graph_state": (
        c_int32, [c_void_p, c_char_p, c_int32, POINTER(c_int64), c_int32],
        "graph, name, dtype, dims, rank",
        'A state of the model, which begins as zeros. The same name again gives the same state.'),
    "tern_graph_state_like": (
        c_int32, [c_void_p, c_char_p, c_int32],
        "graph, name, like",
        'A state of the type and shape of `like`, and in its order where that is one of its own: the moments of a parameter,\nwhich updates are fastest with.'),
    "tern_graph_constant": (
        c_int32, [c_void_p, c_void_p],
        "graph, tensor",
        'The tensor is copied.'),
    "tern_graph_number": (
        c_int32, [c_void_p, c_double],
        "graph, number",
        'f32, rank 0.'),
    "tern_graph_op": (
        c_int32, [c_void_p, c_char_p, c_char_p, POINTER(c_int32), c_int32],
        "graph, op, attributes, inputs, num_inputs",
        'A node. `op` is the name of any operator (tern_graph_ops lists them), attributes its attributes as text, "axis=1\nkeep_dims=0", or NULL; "outputs=3" where an operator may have several numbers of them. Inputs that may be absent:\nTERN_NO_VALUE. Parameters that are stored in an order of their own are given as plain tensors to operators that take\nno others. Of an operator that updates (sgd_update, adamw_update, state_write, ...) the first input is a parameter or\nstate; what it gives is the content after the step, all others still read the content before it.\nReturns the first output; tern_graph_result gives the others.'),
    "tern_graph_result": (
        c_int32, [c_void_p, c_int32, c_int32],
        "graph, value, index",
        'Output `index` of the node or call that gave `value` as its first.'),
    "tern_call_options_init": (
        c_int32, [POINTER(tern_call_options), c_size_t],
        "options, size",
        ''),
    "tern_graph_call": (
        c_int32, [c_void_p, c_char_p, c_void_p, c_char_p, POINTER(c_int32), c_int32, POINTER(tern_call_options)],
        "graph, name, model, signature, inputs, num_inputs, options",
        'A signature of a model as a function of its inputs (in its order; TERN_NO_VALUE for one that nothing needs) and of\nits parameters. The model lives as long as what is composed of it; its weights are shared, not copied.\nA signature that takes rows of sequences, as those of language models (tern_session_run_sequences), is called with\nwhole sequences from position 0 on: tokens [sequences, tokens], and TERN_NO_VALUE for the inputs of is_scalar 2. What\nit gives for each row comes as [sequences, tokens, ..]; values inside keep their rows.\nname     of the call, or NULL: the values inside are then found as "NAME/value" (tern_graph_find), without it by\n         their own names\noptions  NULL = defaults\nReturns the first output; tern_graph_result gives the others.'),
    "tern_graph_find": (
        c_int32, [c_void_p, c_char_p],
        "graph, name",
        'The value of a name: of an input, a parameter, a state, or one inside a call.'),
    "tern_graph_list": (
        c_int32, [c_void_p, c_char_p, POINTER(c_int32), c_int32],
        "graph, pattern, values, capacity",
        'The parameters whose names match, in their order: floats that can be trained, so without statistics of batch norm\nand without weights of a few bits. pattern: "*" any characters, "?" one, "{a,b}" either, spaces between several\npatterns. Returns how many there are; of these at most `capacity` are stored. -1 after an error.'),
    "tern_graph_get": (
        c_int32, [c_void_p, c_int32, POINTER(tern_tensor_info)],
        "graph, value, info",
        'Name, type and dims of a value. Strings are borrowed until the next call.'),
    "tern_graph_gradient": (
        c_int32, [c_void_p, c_int32, POINTER(c_int32), c_int32, POINTER(c_int32)],
        "graph, scalar, values, num_values, gradients",
        'd scalar / d values[i], as values of the type and shape of values[i]; zeros where nothing depends on it. scalar: a\nfloat with one element. Gradients of gradients are taken likewise. After an error all are TERN_NO_VALUE. In a\nsignature that writes, a scalar that was differentiated must be finite: where it is not, the run gives\nTERN_ERR_NOT_FINITE and has changed nothing.'),
    "tern_graph_write": (
        c_int32, [c_void_p, c_int32, c_int32],
        "graph, target, value",
        'At the end of the step the parameter or state `target` becomes `value` (of its shape; another float type is\nconverted). Each is written once at most.'),
    "tern_graph_output": (
        c_int32, [c_void_p, c_char_p, c_int32],
        "graph, name, value",
        'An output of the signature.'),
    "tern_graph_finish": (
        c_int32, [c_void_p, POINTER(c_void_p)],
        "graph, model",
        'Makes the model of all signatures, which runs, and is saved, without the graph. Afterwards the graph is only good for\nbeing released. Errors: the first of the graph; TERN_ERR_STATE a second time.'),
    "tern_model_edit": (
        c_int32, [c_void_p, c_char_p, c_char_p, c_char_p, POINTER(c_void_p)],
        "model, edit, pattern, attributes, edited",
        'An edit of a model: another one that shares its weights, in all signatures alike, so that what is trained is also\nwhat runs and generates.\npattern     which weights of matrix products, by name (tern_graph_list); "*" = all\nattributes  "key=value ...", or NULL\n  lora          y = W x becomes W x + alpha / rank * B (A x), with new parameters NAME.lora_a and NAME.lora_b; W\n                stays as it is, in any form. rank=8, alpha=2 * rank, seed=0\n  merge_lora    W becomes W + alpha / rank * B A; refused for weights of a few bits\n  sub_norm      an RMSNorm NAME_in_norm in front of the product. gain=1, epsilon=1e-6\n  bit_linear    ternary weights and 8-bit activations, trained through the rounding: W are latent floats\n  pack_ternary  the weights of bit_linear in two bits each, as the model is shipped\n  head          new NAME.head, NAME.head_bias in the place of a weight. classes=N, seed=0\nErrors: TERN_ERR_NOT_FOUND (no such edit; no weight matches), TERN_ERR_UNSUPPORTED (it does not fit the weights),\nTERN_ERR_INVALID_ARGUMENT.'),
    "tern_graph_ops": (
        c_char_p, [c_int32],
        "index",
        'Name of an operator, or NULL if index is outside [0, number of operators). Static storage.'),
    "tern_trainer_options_init": (
        c_int32, [POINTER(tern_trainer_options), c_size_t],
        "options, size",
        ''),
    "tern_trainer_create": (
        c_int32, [c_void_p, POINTER(tern_trainer_options), POINTER(c_void_p)],
        "model, options, trainer",
        'The model stays alive as long as the trainer, and is not changed: what is learnt lies in an overlay.\nErrors: TERN_ERR_NOT_FOUND (no such signature, backend), TERN_ERR_UNSUPPORTED (the signature writes nothing; a\nlibrary without TERN_TRAINING), TERN_ERR_LIMIT (the budget; the message says what takes how many bytes).'),
    "tern_trainer_release": (
        None, [c_void_p],
        "trainer",
        ''),
    "tern_trainer_get_memory": (
        c_int32, [c_void_p, POINTER(tern_trainer_memory)],
        "trainer, memory",
        ''),
    "tern_trainer_step": (
        c_int32, [c_void_p, POINTER(c_void_p), c_int32, POINTER(tern_run_options)],
        "trainer, inputs, num_inputs, options",
        'One step.\ninputs   those of the signature in its order, without the scalars "step" and "seed", which the trainer gives\nErrors   as tern_session_run; before the update nothing has changed.\n         TERN_ERR_NOT_FINITE  the loss is infinite or no number; the message names the step\n         TERN_ERR_STATE       an earlier step failed while it wrote (no memory, a lost device): tern_trainer_load\nThreads  one call at a time for a trainer'),
    "tern_trainer_steps": (
        c_int64, [c_void_p],
        "trainer",
        'Steps that were done, with those that were passed over. The first one\'s scalar "step" is 1.'),
    "tern_trainer_skipped": (
        c_int64, [c_void_p],
        "trainer",
        'Of them those that changed nothing since their loss was no finite number.'),
    "tern_trainer_get_metric": (
        c_int32, [c_void_p, c_int32, POINTER(c_char_p), POINTER(c_double)],
        "trainer, index, name, value",
        'Metric `index` of the latest step: each output of the signature that is one number, in its order. name: borrowed from\nthe model. Errors: TERN_ERR_NOT_FOUND for an index outside of them.'),
    "tern_trainer_run": (
        c_int32, [c_void_p, c_int32, POINTER(c_void_p), c_int32, POINTER(c_void_p), c_int32, POINTER(tern_run_options)],
        "trainer, signature, inputs, num_inputs, outputs, num_outputs, options",
        'Runs any signature of the model with what was learnt so far, as for a validation; as tern_session_run, with "step"\nand "seed" left out.'),
    "tern_trainer_parameters": (
        c_void_p, [c_void_p],
        "trainer",
        'What it learns, as parameters of the model. Borrowed until tern_trainer_load or _release.'),
    "tern_trainer_save": (
        c_int32, [c_void_p, c_char_p, c_char_p],
        "trainer, path, more",
        "A checkpoint: parameters that were changed, states, number of steps, seed. A new file replaces an old one as a whole:\nwhatever ends the program, one of the two is there.\nmore     a text of the caller's (the position in its data, ...), or NULL\nErrors   TERN_ERR_IO (a full disk, ...): the old file is as it was"),
    "tern_trainer_load": (
        c_int32, [c_void_p, c_char_p, POINTER(c_char_p)],
        "trainer, path, more",
        'Goes on from a checkpoint of a trainer of the same model. more: NULL, or the text that was saved, "" if none;\nborrowed until the next call. Errors: TERN_ERR_NOT_FOUND, TERN_ERR_CORRUPT, TERN_ERR_CHECKSUM, TERN_ERR_SHAPE (of\nanother model): the trainer is as it was.'),
    "tern_trainer_export": (
        c_int32, [c_void_p, c_void_p, c_char_p, c_char_p],
        "trainer, model, set, path",
        'Writes `model`, of which the step was composed, with its parameters as they are now: those of `set`\n(tern_call_options; NULL = the one without a name). What `model` has beside them, signatures and metadata, stays.\nErrors: TERN_ERR_NOT_FOUND if the set has none of its parameters, TERN_ERR_SHAPE, TERN_ERR_IO.'),
    "tern_tokenizer_create": (
        c_int32, [c_void_p, c_size_t, POINTER(c_void_p)],
        "json, bytes, tokenizer",
        'From the content of a file tokenizer.json. Its truncation and padding are not applied.\njson    UTF-8, `bytes` long; not needed after the call\nErrors  TERN_ERR_CORRUPT      no such file, or one that contradicts itself: the message says what and where\n        TERN_ERR_UNSUPPORTED  a part that this library does not have, as an unknown regular expression: it is named\n        TERN_ERR_LIMIT        ids of 2^20 and more, tokens of more than 1024 bytes, more than 2^22 merges'),
    "tern_tokenizer_create_from_model": (
        c_int32, [c_void_p, POINTER(c_void_p)],
        "model, tokenizer",
        'The one that a model carries. The model may be released afterwards.\nErrors  TERN_ERR_NOT_FOUND (it carries none), TERN_ERR_CORRUPT, TERN_ERR_UNSUPPORTED_VERSION'),
    "tern_tokenizer_release": (
        None, [c_void_p],
        "tokenizer",
        ''),
    "tern_tokenizer_encode": (
        c_int32, [c_void_p, c_char_p, c_size_t, c_uint32, POINTER(c_int32), c_size_t, POINTER(c_size_t)],
        "tokenizer, text, bytes, flags, ids, capacity, count",
        "The ids of a text.\ntext      any bytes, less than 2^30; UTF-8 is expected. NULL if `bytes` is 0. In byte-level vocabularies other bytes\n          come back from tern_tokenizer_decode as they were\nflags     TERN_ENCODE_*\nids       gets the first `capacity` ids; NULL if that is 0\ncount     how many ids there are, which may be more than `capacity`. Unless the tokenizer's normaliser makes texts\n          longer there are at most `bytes` and those that TERN_ENCODE_ADD_SPECIAL adds\nErrors    TERN_ERR_LIMIT (text too long), TERN_ERR_UNSUPPORTED (a character is in no token and there is none for what\n          is unknown)"),
    "tern_tokenizer_decode": (
        c_int32, [c_void_p, POINTER(c_int32), c_size_t, c_uint32, c_char_p, c_size_t, POINTER(c_size_t)],
        "tokenizer, ids, count, flags, text, capacity, bytes",
        "The text of ids.\nflags     TERN_DECODE_*\ntext      gets the first `capacity` bytes, which need not be whole characters, and no 0 behind them; NULL if that is\n          0\nbytes     how many bytes there are, which may be more than `capacity`\nErrors    TERN_ERR_INDEX (an id that is none of the vocabulary's)"),
    "tern_tokenizer_num_tokens": (
        c_int32, [c_void_p],
        "tokenizer",
        'How many ids there are, from 0 on and with those that are not used; -1 for NULL.'),
    "tern_tokenizer_get_token": (
        c_int32, [c_void_p, c_int32, POINTER(tern_token_info)],
        "tokenizer, id, info",
        'Errors: TERN_ERR_INDEX.'),
    "tern_tokenizer_find_token": (
        c_int32, [c_void_p, c_char_p, c_size_t, POINTER(c_int32)],
        "tokenizer, piece, bytes, id",
        'The id of a token by its piece ("<|im_end|>"). Errors: TERN_ERR_NOT_FOUND.'),
    "tern_tokenizer_get_role": (
        c_int32, [c_void_p, c_int32],
        "tokenizer, role",
        "The id that has a role; -1: the tokenizer's source names none (tokenizer.json only knows the unknown one)."),
    "tern_detokenizer_create": (
        c_int32, [c_void_p, c_uint32, POINTER(c_void_p)],
        "tokenizer, flags, detokenizer",
        'flags: TERN_DECODE_*. The tokenizer may be released before it.'),
    "tern_detokenizer_release": (
        None, [c_void_p],
        "detokenizer",
        ''),
    "tern_detokenizer_add": (
        c_int32, [c_void_p, c_int32, POINTER(c_char_p), POINTER(c_size_t)],
        "detokenizer, id, text, bytes",
        'The text that one more token makes complete: whole characters of UTF-8. Bytes that are no UTF-8 become U+FFFD.\ntext    lent until the next call for this detokenizer; not terminated\nErrors  TERN_ERR_INDEX (the token is as if it had not come)'),
    "tern_detokenizer_set_stops": (
        c_int32, [c_void_p, POINTER(c_char_p), c_size_t],
        "detokenizer, stops, num_stops",
        'Ends the text before the first of these strings: what could be the beginning of one is held back until it is clear.\nCall it before the first token of a text.\nstops      UTF-8, 1 to 256 bytes each, copied; NULL if num_stops, at most 16, is 0\nErrors     TERN_ERR_LIMIT'),
    "tern_detokenizer_stopped": (
        c_int32, [c_void_p],
        "detokenizer",
        '1 from the token on with which one of the strings was complete: until tern_detokenizer_end there is no more text. 0\nfor NULL.'),
    "tern_detokenizer_end": (
        c_int32, [c_void_p, POINTER(c_char_p), POINTER(c_size_t)],
        "detokenizer, text, bytes",
        'What is left: text that was held back, U+FFFD for a character that did not come to its end. The next token begins\nanother text.'),
    "tern_tensor_load_npy": (
        c_int32, [c_void_p, c_char_p, POINTER(c_void_p)],
        "context, path, tensor",
        'Reads a .npy file (format 1 to 3, any byte order, rows or columns first) as a tensor.\nErrors  TERN_ERR_NOT_FOUND, TERN_ERR_IO, TERN_ERR_MEMORY\n        TERN_ERR_CORRUPT    no such file, one that contradicts itself, an element type that tensors do not have'),
    "tern_data_options_init": (
        c_int32, [POINTER(tern_data_options), c_size_t],
        "options, size",
        ''),
    "tern_data_create_arrays": (
        c_int32, [c_void_p, POINTER(c_char_p), POINTER(c_void_p), c_int32, POINTER(tern_data_options), POINTER(c_void_p)],
        "context, names, arrays, num_arrays, options, data",
        'From arrays in memory: field i is called names[i] and has the rows of arrays[i], which are retained, not copied.\nnames    [num_arrays] UTF-8, not empty, all different; copied\narrays   [num_arrays] with the same first dim, the number of samples\nErrors   TERN_ERR_SHAPE, TERN_ERR_INVALID_ARGUMENT'),
    "tern_data_open_npy": (
        c_int32, [c_void_p, POINTER(c_char_p), POINTER(c_char_p), c_int32, POINTER(tern_data_options), POINTER(c_void_p)],
        "context, names, paths, num_files, options, data",
        'The same from .npy files, mapped where they need no conversion: nobody may cut them meanwhile.\nErrors   also those of tern_tensor_load_npy'),
    "tern_data_open_text": (
        c_int32, [c_void_p, c_char_p, c_void_p, POINTER(tern_data_options), POINTER(c_void_p)],
        "context, path, tokenizer, options, data",
        'From a text (UTF-8), for language models: its documents, each with the token for its end, are one sequence of tokens,\nwhich is cut into windows. Fields tokens and labels, i64 [length]; labels[t] is the token behind tokens[t], -100 at\npadding. Each token but the first is a label once. All is encoded by this call, and 4 bytes a token stay in memory.\nErrors   TERN_ERR_CORRUPT (bad UTF-8, less than a window), TERN_ERR_LIMIT (a document of 1 GiB), TERN_ERR_IO,\n         TERN_ERR_NOT_FOUND (the file, options.end), TERN_ERR_UNSUPPORTED (a character that is in no token)'),
    "tern_data_open_jsonl": (
        c_int32, [c_void_p, c_char_p, c_void_p, POINTER(tern_data_options), POINTER(c_void_p)],
        "context, path, tokenizer, options, data",
        'From JSON Lines, a record a line; empty lines are left out, longer records are cut to `length`.\n  TERN_DATA_CLASSES     {"text": "...", "label": 3} or "label": "name". Fields tokens and mask, i64 [length] (mask: 1\n                        for tokens, 0 for padding), and label, i64 []\n  TERN_DATA_CHAT        {"messages": [{"role": "user", "content": "..."}, ...]}. Fields tokens and labels as of a\n                        text, but labels are -100 for all but answers: what the messages "assistant" say, with the\n                        token that ends the turn. An answer that its chat template writes in another way once others\n                        follow is no label\n  TERN_DATA_COMPLETION  {"prompt": "...", "completion": "..."}. The same; the answer is the completion and the token\n                        that ends a text\nErrors   those of a text; TERN_ERR_CORRUPT (JSON, a record without what its kind has, nothing of an answer within\n         `length`), TERN_ERR_INDEX (a label out of range), TERN_ERR_LIMIT (a line of more than 64 MiB), and those of\n         tern_chat_create and tern_chat_encode'),
    "tern_data_release": (
        None, [c_void_p],
        "data",
        ''),
    "tern_data_split": (
        c_int32, [c_void_p, c_double, c_uint64, POINTER(c_void_p), POINTER(c_void_p)],
        "data, share, seed, train, validation",
        'Parts a set into two that share its memory, each in its order; `data` stays as it is. Which samples go where follows\nfrom the seed.\nshare       of the samples that goes to `validation`, more than 0, less than 1; at least one goes to each\ntrain       has the order, the seed and the augmentation of `data`, and position 0\nvalidation  is in order and not augmented\nErrors      TERN_ERR_INVALID_ARGUMENT'),
    "tern_data_num_samples": (
        c_int64, [c_void_p],
        "data",
        '-1 for NULL.'),
    "tern_data_num_fields": (
        c_int32, [c_void_p],
        "data",
        ''),
    "tern_data_num_skipped": (
        c_int64, [c_void_p],
        "data",
        'Documents or records that were skipped; 0 for NULL.'),
    "tern_data_num_classes": (
        c_int64, [c_void_p],
        "data",
        'Classes of labels; 0: there are none.'),
    "tern_data_class_name": (
        c_char_p, [c_void_p, c_int64],
        "data, label",
        'Name of a class, borrowed from the data; NULL: labels are numbers, or there is no such class.'),
    "tern_data_get_field": (
        c_int32, [c_void_p, c_int32, POINTER(tern_data_field)],
        "data, index, field",
        'Errors: TERN_ERR_INDEX.'),
    "tern_data_next": (
        c_int32, [c_void_p, c_int64, POINTER(c_void_p), c_int32],
        "data, batch, tensors, num_tensors",
        'The next batch, in the order of the epoch, augmented; the position moves behind it.\nbatch      samples, 1 to 2^24; may be more than there are\ntensors    [num_tensors] one for each field, [batch, ...]; retained for the caller, who releases each. Their memory\n           is used again when nobody holds them any more\nErrors     TERN_ERR_INVALID_ARGUMENT, TERN_ERR_MEMORY, TERN_ERR_LIMIT (TERN_DATA_DROP_LAST and more than an epoch)'),
    "tern_data_get": (
        c_int32, [c_void_p, c_int64, c_int64, POINTER(c_void_p), c_int32, POINTER(c_int64)],
        "data, begin, batch, tensors, num_tensors, count",
        'Samples `begin` and following in the order of the source, not augmented, as for a pass through all of them:\n  for (begin = 0; begin < tern_data_num_samples(data); begin += count) tern_data_get(data, begin, 32, ...)\ncount    how many there are: less than `batch` at the end\nErrors   TERN_ERR_INDEX (begin), TERN_ERR_INVALID_ARGUMENT, TERN_ERR_MEMORY'),
    "tern_data_position": (
        c_int64, [c_void_p],
        "data",
        'Samples drawn so far, with those left out by TERN_DATA_DROP_LAST: all that there is to save of a data set. Position p\nis in epoch p / tern_data_num_samples. -1 for NULL.'),
    "tern_data_seek": (
        c_int32, [c_void_p, c_int64],
        "data, position",
        'What is drawn next is what it would have been. Errors: TERN_ERR_INVALID_ARGUMENT (negative).'),
    "tern_augmentation_options_init": (
        c_int32, [POINTER(tern_augmentation_options), c_size_t],
        "options, size",
        ''),
    "tern_data_set_augmentation": (
        c_int32, [c_void_p, POINTER(tern_augmentation_options)],
        "data, options",
        'NULL: pictures are drawn as they are.\nErrors: TERN_ERR_INDEX, TERN_ERR_SHAPE (the field), TERN_ERR_INVALID_ARGUMENT.'),
    "tern_tokenizer_train_options_init": (
        c_int32, [POINTER(tern_tokenizer_train_options), c_size_t],
        "options, size",
        ''),
    "tern_tokenizer_train": (
        c_int32, [c_char_p, c_size_t, c_int32, POINTER(tern_tokenizer_train_options), POINTER(c_void_p)],
        "text, bytes, num_tokens, options, tokenizer",
        'Byte-level BPE of a text, cut into words by the rule of GPT-2: special tokens, the 256 bytes, then a token for each\nof the most frequent pairs; of pairs that are equally frequent the one with the smaller ids comes first. Any text is\nencoded, and comes back. Words of more than 512 bytes are counted in parts.\nnum_tokens  of the vocabulary, at least 256 and those that are special; fewer come of a text with fewer pairs\nErrors      TERN_ERR_INVALID_ARGUMENT (num_tokens, a special token, no text), TERN_ERR_LIMIT'),
    "tern_tokenizer_train_files": (
        c_int32, [POINTER(c_char_p), c_int32, c_int32, POINTER(tern_tokenizer_train_options), POINTER(c_void_p)],
        "paths, num_paths, num_tokens, options, tokenizer",
        'Of files. Errors: also TERN_ERR_NOT_FOUND, TERN_ERR_IO.'),
    "tern_tokenizer_save": (
        c_int32, [c_void_p, c_char_p],
        "tokenizer, path",
        "Writes a file tokenizer.json, which Hugging Face's library and `tern edit --tokenizer` read, over `path` when it is\ncomplete. Errors: TERN_ERR_UNSUPPORTED (another kind of tokenizer than those that are trained here), TERN_ERR_IO."),
    "tern_chat_options_init": (
        c_int32, [POINTER(tern_chat_options), c_size_t],
        "options, size",
        ''),
    "tern_chat_create": (
        c_int32, [c_void_p, c_char_p, POINTER(tern_chat_options), POINTER(c_void_p)],
        "tokenizer, source, options, chat",
        'tokenizer      may be released before the chat\nsource         the template as the model carries it, in Jinja; NULL: none, options name one\noptions        NULL = defaults\nErrors         TERN_ERR_NOT_FOUND         neither source nor name\n               TERN_ERR_INVALID_ARGUMENT  no family has this name\n               TERN_ERR_UNSUPPORTED       the source is of no family that is known, the message lists them; or the\n                                          vocabulary lacks the token with which turns end'),
    "tern_chat_release": (
        None, [c_void_p],
        "chat",
        ''),
    "tern_chat_template": (
        c_char_p, [c_void_p],
        "chat",
        'The name of its family; NULL for NULL. Borrowed for ever.'),
    "tern_chat_encode": (
        c_int32, [c_void_p, POINTER(tern_chat_message), c_size_t, c_size_t, c_uint32, POINTER(c_int32), c_size_t, POINTER(c_size_t)],
        "chat, messages, num_messages, num_done, flags, ids, capacity, count",
        'The ids of messages: those of the reference implementations of the templates.\n\nWith num_done > 0 only what the messages behind the first num_done add, so that a generator goes on from the tokens\nthat it has. If the last one of those is an answer, the ids begin with what ends it: take the token that ended the\nanswer off first (tern_generator_truncate, which costs nothing there), if it came at all. A thought stays in the\ntokens then; all messages anew (num_done 0) leave it out of earlier answers, as the template of Qwen 3 does.\nmessages   the whole conversation, also what is done: templates look at the order, and put the system text into a\n           user\'s message ("gemma", "llama2", "mistral")\nflags      TERN_CHAT_ANSWER\nids        gets the first `capacity` ids; NULL if that is 0\ncount      how many ids there are, which may be more than `capacity`\nErrors     TERN_ERR_INVALID_ARGUMENT: no messages, a role that is not known or not possible at its place; and those\n           of tern_tokenizer_encode'),
    "tern_chat_get_ends": (
        c_int32, [c_void_p, POINTER(POINTER(c_int32)), POINTER(c_size_t)],
        "chat, ids, count",
        'The tokens that end an answer, at least one.\nids   lent as long as the chat lives'),
    "tern_generator_options_init": (
        c_int32, [POINTER(tern_generator_options), c_size_t],
        "options, size",
        ''),
    "tern_generator_create": (
        c_int32, [c_void_p, POINTER(tern_generator_options), POINTER(c_void_p)],
        "model, options, generator",
        'The model stays alive as long as the generator. options NULL = defaults.\nErrors   TERN_ERR_UNSUPPORTED: no language model (one with the signatures "prefill" and "decode", as tern_import_file\n         makes them), or a library without TERN_TEXT; TERN_ERR_INVALID_ARGUMENT: an option out of range'),
    "tern_generator_release": (
        None, [c_void_p],
        "generator",
        ''),
    "tern_generator_fork": (
        c_int32, [c_void_p, POINTER(tern_generator_options), POINTER(c_void_p)],
        "generator, options, fork",
        'One more generator that has the same tokens and goes on by itself, with options of its own: what was computed so far\nis shared until one of the two writes it, and so are plans and work space. The copies of a generator, and their\ncopies, are a family. Grammar, bias and draft are not copied; options->backends is not looked at.\nErrors   as tern_generator_create\nThreads  one call at a time for a family'),
    "tern_generator_feed": (
        c_int32, [c_void_p, POINTER(c_int32), c_int64, POINTER(tern_run_options)],
        "generator, tokens, num_tokens, options",
        'Appends tokens, a prompt for instance, and computes what follows them.\ntokens   numbers in [0, tern_generator_vocabulary)\nErrors   TERN_ERR_INDEX: a token out of range; TERN_ERR_LIMIT: more than tern_generator_capacity in all;\n         TERN_ERR_CANCELLED, TERN_ERR_DEADLINE. There are as many tokens as before.\nThreads  one call at a time for a generator; a second one gives TERN_ERR_STATE'),
    "tern_generator_next": (
        c_int32, [c_void_p, POINTER(c_int32), POINTER(tern_run_options)],
        "generator, token, options",
        'Chooses the token that follows, and appends it.\nErrors   TERN_ERR_STATE: there is no token yet, the text of the grammar has ended, or the bias forbids all tokens;\n         TERN_ERR_LIMIT: all positions are used; TERN_ERR_UNSUPPORTED: no token goes on as the grammar says; else as\n         tern_generator_feed'),
    "tern_generator_next_batch": (
        c_int32, [POINTER(c_void_p), c_int32, POINTER(c_int32), POINTER(c_int32), POINTER(tern_run_options)],
        "generators, num_generators, tokens, statuses, options",
        'tern_generator_next for several generators of a family, which are computed together: the weights are read once for\nall of them. Each has the tokens that it would have alone; any may be left out, or come in, at each call. Guesses\n(look_ahead) are not made.\ngenerators  num_generators different ones\ntokens      num_generators; -1 where none was chosen\nstatuses    num_generators: TERN_OK, or why one has no token, as tern_generator_next says it. The others have theirs.\n            tern_last_error is about the one that failed last; tern_generator_next of another one says its own\nErrors      TERN_ERR_INVALID_ARGUMENT: none or more than 4096, one is given twice, or is of another family;\n            TERN_ERR_CANCELLED, TERN_ERR_DEADLINE, TERN_ERR_MEMORY: nothing was chosen, the outputs are untouched;\n            with TERN_WHEN_FULL_SLIDE, tokens may have slid away'),
    "tern_generator_set_grammar": (
        c_int32, [c_void_p, c_void_p, c_int32, c_char_p, c_size_t, c_int64],
        "generator, tokenizer, kind, text, bytes, max_tokens",
        'From now on tern_generator_next makes texts of a grammar alone, and ends them with a token for the end exactly where\nthe grammar may end; behind that it fails with TERN_ERR_STATE. A text begins with this call and with each\ntern_generator_feed. tern_generator_truncate goes back within it.\ntokenizer   that of the model; may be released afterwards. With TERN_GRAMMAR_NONE it and `text` are not looked at\ntext        UTF-8, `bytes` long; not needed after the call\nmax_tokens  of a text, with the token for its end; 0 = as many as there are positions. The text is closed before they\n            are used up: when few are left, the shortest way to the end is taken. Each byte of that way counts as a\n            token, so that a text may be closed a little early. A grammar whose shortest text is longer passes it\nErrors      TERN_ERR_CORRUPT      a wrong grammar or schema: the message has line and column, or the JSON pointer\n            TERN_ERR_UNSUPPORTED  a keyword of a schema that this library lacks: it is named, with its pointer\n            TERN_ERR_LIMIT        too large, too deep or repeated too often; tern_generator_next: too many ways lead\n                                  through the grammar at once\n            The grammar is the one of before'),
    "tern_generator_set_bias": (
        c_int32, [c_void_p, POINTER(c_int32), POINTER(c_float), c_int64],
        "generator, tokens, values, num_tokens",
        'What is added to the logits of some tokens before one is chosen; it takes the place of what was set before.\ntokens, values  num_tokens each; NULL if that is 0. -INFINITY: the token is never chosen\nErrors          TERN_ERR_INDEX: a token out of range; TERN_ERR_INVALID_ARGUMENT: NaN or +INFINITY'),
    "tern_generator_log_probabilities": (
        c_int32, [c_void_p, POINTER(POINTER(c_int32)), POINTER(POINTER(c_float)), POINTER(c_int64)],
        "generator, tokens, values, count",
        'Natural logarithms of probabilities at the last choice of tern_generator_next, as the model gave them: without bias,\ngrammar, penalty and temperature.\ntokens, values  `count` each: the token that was chosen, then the most probable ones. Borrowed until the next call\n                with this generator\nErrors          TERN_ERR_STATE: no token was chosen yet, or the option log_probabilities is 0'),
    "tern_generator_set_draft": (
        c_int32, [c_void_p, c_void_p],
        "generator, draft",
        'Lets a smaller model guess: what `draft` would choose is computed ahead, look_ahead tokens at a time (speculative\ndecoding, Leviathan et al. 2023; a guess counts where this generator chooses the same token itself).\ndraft    of another model with the same vocabulary; its tokens become those of this generator, and it is used by\n         tern_generator_next and tern_generator_logits alone while it is set. It must not be released before. NULL:\n         guesses come from the tokens themselves again. Where both models carry a tokenizer, their logits may be of\n         different numbers, as where one is padded: what one of them does not use is never guessed\nErrors   TERN_ERR_INVALID_ARGUMENT: one of the same family, a token that is another one, without tokenizers another\n         number of logits, or one of the two guesses for a third'),
    "tern_generator_guesses": (
        c_int32, [c_void_p, POINTER(c_int64), POINTER(c_int64)],
        "generator, made, right",
        'How many tokens were guessed so far, and how many of them were chosen then.'),
    "tern_generator_logits": (
        c_int32, [c_void_p, POINTER(POINTER(c_float)), POINTER(tern_run_options)],
        "generator, logits, options",
        'Logits of the token that follows.\nlogits   tern_generator_vocabulary numbers. Borrowed until the next call with this generator\nErrors   as tern_generator_next'),
    "tern_generator_save": (
        c_int32, [c_void_p, c_char_p, c_void_p, c_size_t],
        "generator, path, data, bytes",
        "Writes the sequence to a file: its tokens, what was computed of them, how tokens are chosen (temperature to seed),\nand where it stands within a text of a grammar. To a new file, which is synced and renamed over `path`: an\ninterrupted save leaves the old file or the new one.\ndata     `bytes` of the caller's, such as the messages of a chat; NULL if that is 0"),
    "tern_generator_load": (
        c_int32, [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_size_t)],
        "generator, path, data, bytes",
        "Goes on where a generator of the same model was when it was saved: the tokens that follow are the same. What\ntern_generator_set_grammar, set_bias and set_draft have set stays; a text of the grammar goes on within it. The other\noptions are those that this generator was created with. The file may come from anybody, but nobody may cut it\nmeanwhile.\ndata     the caller's bytes that are in the file, `bytes` long. Borrowed until the next call with this generator\nErrors   TERN_ERR_NOT_FOUND, TERN_ERR_IO; TERN_ERR_CORRUPT, TERN_ERR_CHECKSUM: damaged, or no such file;\n         TERN_ERR_UNSUPPORTED_VERSION; TERN_ERR_SHAPE: that of another model, or of other weights;\n         TERN_ERR_INVALID_ARGUMENT: its text is none of the grammar. The generator is as it was"),
    "tern_generator_set_sampler": (
        c_int32, [c_void_p, POINTER(tern_generator_options)],
        "generator, options",
        'How tokens are chosen from now on: top_k, temperature, top_p, min_p, repetition_penalty and seed of the options.\nErrors: as tern_generator_create.'),
    "tern_generator_get_tokens": (
        c_int32, [c_void_p, POINTER(c_int32), c_int64, POINTER(c_int64)],
        "generator, tokens, capacity, count",
        'All tokens that were fed or chosen and not forgotten.\ntokens   gets the first `capacity` of them; NULL if that is 0\ncount    tern_generator_length, which may be more than `capacity`'),
    "tern_generator_length": (
        c_int64, [c_void_p],
        "generator",
        'Tokens so far.'),
    "tern_generator_truncate": (
        c_int32, [c_void_p, c_int64],
        "generator, length",
        'Forgets the tokens from `length` on; 0 begins anew. Errors: TERN_ERR_INVALID_ARGUMENT if negative or beyond the\nlength.'),
    "tern_generator_vocabulary": (
        c_int64, [c_void_p],
        "generator",
        'How many different tokens there are, and how many a sequence can hold. 0 for NULL.'),
    "tern_generator_capacity": (
        c_int64, [c_void_p],
        "generator",
        ''),
    "tern_vision_options_init": (
        c_int32, [POINTER(tern_vision_options), c_size_t],
        "options, size",
        ''),
    "tern_vision_create": (
        c_int32, [POINTER(c_void_p), c_int32, POINTER(tern_vision_options), POINTER(c_void_p)],
        "models, num_models, options, vision",
        "A task of one model, or of several that work together, in any order: a detector and what looks into each of its boxes\n(key points, classes, embeddings); text detection, recognition and, if wanted, direction.\nmodels   as many as num_models, 1..4; their metadata say what each is for. The task keeps them alive\nErrors   TERN_ERR_UNSUPPORTED  a model's metadata says no task, or the models do not go together: by their tasks, or\n                               by what their metadata 'region.of' says that they find and look into\n         TERN_ERR_CORRUPT      metadata that contradict themselves or the model; the message names the key"),
    "tern_vision_release": (
        None, [c_void_p],
        "vision",
        ''),
    "tern_vision_run": (
        c_int32, [c_void_p, POINTER(tern_picture), c_int32, POINTER(tern_run_options), POINTER(POINTER(tern_vision_result))],
        "vision, pictures, num_pictures, options, results",
        'Runs the task on pictures, one after the other.\npictures  as many as num_pictures\noptions   cancel and deadline, for all of them; may be NULL\nresults   as many as num_pictures; lent until the next call for this task\nErrors    those of tern_session_run and of pictures; the task can be used again\nThreads   one call at a time for a task; a second one gives TERN_ERR_STATE'),
    "tern_vision_reset": (
        c_int32, [c_void_p],
        "vision",
        'The next picture is the first of another video.'),
    "tern_vision_get_kind": (
        c_int32, [c_void_p],
        "vision",
        'tern_vision_kind; -1 for NULL.'),
    "tern_vision_label": (
        c_char_p, [c_void_p, c_int32],
        "vision, label",
        'Name of a label or of a key point ("left knee"), or NULL; pairs of key points that a drawing joins, as 2 * num\nindices. Borrowed from the task.'),
    "tern_vision_keypoint_name": (
        c_char_p, [c_void_p, c_int32],
        "vision, keypoint",
        ''),
    "tern_vision_skeleton": (
        c_int32, [c_void_p, POINTER(POINTER(c_int32)), POINTER(c_int32)],
        "vision, pairs, num",
        ''),
    "tern_vision_similarity": (
        c_float, [POINTER(c_float), POINTER(c_float), c_int32],
        "a, b, size",
        'Cosine of the angle between two embeddings of `size` numbers, -1..1; 0 where one is all zero or not finite.'),
    "tern_tracker_create": (
        c_int32, [POINTER(tern_tracker_options), POINTER(c_void_p)],
        "options, tracker",
        'Errors: TERN_ERR_INVALID_ARGUMENT for an option out of its range.'),
    "tern_tracker_release": (
        None, [c_void_p],
        "tracker",
        ''),
    "tern_tracker_update": (
        c_int32, [c_void_p, POINTER(tern_track_frame), POINTER(tern_track), c_int32, POINTER(c_int32)],
        "tracker, frame, tracks, capacity, count",
        'Takes the next frame. Every frame is given, also one without detections.\ntracks   those that are seen in this frame: up to `capacity` are written; count: how many there are (at most as many\n         as detections)\nErrors   TERN_ERR_INVALID_ARGUMENT: a box or score that is no number, a box whose right is left of its left, a time\n         that is not later, an embedding without a length; TERN_ERR_UNSUPPORTED: embeddings or a camera for a method\n         that does not use them; TERN_ERR_LIMIT: a million pairs of boxes overlap, or with OCSORT there are more than\n         four million pairs of a detection and a track. The tracker is as it was.\nThreads  one call at a time for a tracker; a second one gives TERN_ERR_STATE.'),
    "tern_tracker_reset": (
        c_int32, [c_void_p],
        "tracker",
        'Forgets all tracks: the next frame is the first of another video. Numbers begin with 1 again.'),
    "tern_tracker_save": (
        c_int32, [c_void_p, c_void_p, c_uint64, POINTER(c_uint64)],
        "tracker, data, capacity, size",
        "All that a tracker knows, as bytes that may be kept: tern_tracker_load goes on from there, to the same tracks bit by\nbit.\ndata      caller's memory of `capacity` bytes, or NULL with a capacity of 0\nsize      how many bytes there are; if this is more than `capacity`, none was written\nThreads   any number of calls at a time for a tracker; none while it takes a frame."),
    "tern_tracker_load": (
        c_int32, [c_void_p, c_void_p, c_uint64],
        "tracker, data, size",
        "Replaces what a tracker knows by what one of the same method and options had saved. The bytes may come from anybody.\nErrors: TERN_ERR_CORRUPT, TERN_ERR_CHECKSUM, TERN_ERR_UNSUPPORTED_VERSION (a newer library's),\nTERN_ERR_INVALID_ARGUMENT (another method or option; the message names it). The tracker is as it was."),
    "tern_camera_motion_create": (
        c_int32, [POINTER(tern_camera_motion_options), POINTER(c_void_p)],
        "options, motion",
        ''),
    "tern_camera_motion_release": (
        None, [c_void_p],
        "motion",
        ''),
    "tern_camera_motion_update": (
        c_int32, [c_void_p, POINTER(tern_picture), POINTER(tern_detection), c_int32, POINTER(c_float), POINTER(c_int32)],
        "motion, picture, leave_out, num_leave_out, camera, corners",
        'Takes the next picture.\nleave_out  boxes of what may move by itself, as found in this picture; only the boxes are looked at. NULL with\n           num_leave_out 0: none\ncamera     [2][3], in pixels of the upright picture: x, y of the picture before are at camera * (x, y, 1) in this.\n           The identity for the first picture, for one of another size than that before, and where less than a fifth\n           of the corners agree, or less than eight\ncorners    how many agree: 0 in those three cases. May be NULL\nErrors     those of a picture (tern_picture); TERN_ERR_INVALID_ARGUMENT: a box that is no number. It is as it was.\nThreads    one call at a time for an estimator; a second one gives TERN_ERR_STATE.'),
    "tern_camera_motion_reset": (
        c_int32, [c_void_p],
        "motion",
        'Forgets the picture: the next one is the first of another video.'),
}
IMPORT_FUNCTIONS = {
    "tern_import_options_init": (
        c_int32, [POINTER(tern_import_options), c_size_t],
        "options, size",
        ''),
    "tern_import_file": (
        c_int32, [c_char_p, c_char_p, POINTER(tern_import_options)],
        "source, output, options",
        'Reads an ONNX, TFLite or GGUF file (told apart by content), or a language model in Hugging Face\'s format, and writes\na `.tern` file. The latter is a folder (`source` is the folder or its config.json): config.json, model.safetensors or\nthe files that model.safetensors.index.json names, and perhaps tokenizer.json and a chat template, which are stored\nin the model. Links in it are followed, since caches of downloads are made of them. Weights that an ONNX file keeps\nin other files are read from the folder of `source` alone: regular files with plain names, no paths and no links.\nWeights beside a model are mapped and must not be cut meanwhile. The `.tern` file is written by a new file that is\nrenamed at the end:\non error an existing `output` is untouched. The new file is called OUTPUT.tmpPID.N until then, with the process\'\nnumber and N from 0 on; a process that is killed leaves it behind.\nErrors  TERN_ERR_NOT_FOUND, TERN_ERR_IO, TERN_ERR_CORRUPT, TERN_ERR_UNSUPPORTED_OP (the message lists all missing\n        operators with counts), TERN_ERR_LIMIT, TERN_ERR_MEMORY, TERN_ERR_INVALID_ARGUMENT (an override or value that\n        does not fit), TERN_ERR_UNSUPPORTED (weights "ternary" of a model whose are not)'),
    "tern_import_edit": (
        c_int32, [c_char_p, c_char_p, c_char_p],
        "source, output, settings",
        'Writes a `.tern` file again with other metadata of its task: settings as in tern_import_options; an empty value takes\na key away. source and output may be the same file, which is replaced when the new one is complete.\nErrors  as tern_import_file; TERN_ERR_INVALID_ARGUMENT and TERN_ERR_CORRUPT name the key that cannot be so'),
    "tern_import_set_tokenizer": (
        c_int32, [c_char_p, c_char_p, c_void_p, c_size_t],
        "source, output, json, bytes",
        'Writes a `.tern` file again with another tokenizer: the content of a file tokenizer.json, which is proven and stored\nin a compact form; NULL takes the tokenizer away. source and output may be the same file.\nErrors  as tern_import_file and tern_tokenizer_create'),
    "tern_import_num_task_keys": (
        c_int32, [],
        "",
        'How many keys there are; the key with a number. Errors: TERN_ERR_INDEX.'),
    "tern_import_get_task_key": (
        c_int32, [c_int32, POINTER(tern_task_key)],
        "index, key",
        ''),
    "tern_import_num_recipes": (
        c_int32, [],
        "",
        'How many there are (0 without memory); the one with a number, by name. Errors: TERN_ERR_INDEX.'),
    "tern_import_get_recipe": (
        c_int32, [c_int32, POINTER(tern_recipe)],
        "index, recipe",
        ''),
    "tern_import_error": (
        c_char_p, [],
        "",
        'Text of the last error of this thread in this library ("" if none). Borrowed until its next failing call.'),
}


def declare(library, functions):
    """Sets the types of the functions of a ctypes library."""
    for name, (result, parameters, _, doc) in functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, parameters
        function.__doc__ = doc
    return library
