"""The computations of the ranks, and rows for them."""

import contextlib
import importlib
import io

import torch
import torch.distributed as dist
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import softmaxlib.torch
from softmaxlib.torch import parallel
from softmaxlib.torch.parallel import _losses, _reduction, _shards, _words

CUTS = [[], [18], [5, 5], [10, 20, 30], [0, 1, 36]]
K, N = 37, 19


def part(cuts, rank):
    """The classes of a rank."""
    edges = [0, *cuts, K]
    return slice(edges[rank], edges[rank + 1])


def rows(dtype, scale, seed=0):
    """Logits and labels: a confident row, one of NaN that is ignored, one of equal logits, a large one."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(N, K, generator=generator, dtype=torch.float64) * scale
    y = torch.randint(0, K, (N,), generator=generator)
    x[1, y[1]] += 25 * scale
    x[2, y[2]] -= 30
    x[4] = 1.5
    x[5] *= 100
    x[6, :30] = -torch.inf
    y[6] = 33
    y[3] = -100
    x[3] = torch.nan
    return x.to(dtype), y


def local_of(value, classes, shape):
    """A rank's part of an option's value, where it has one entry per class."""
    if isinstance(value, torch.Tensor):
        return value[..., classes]
    return value


def cross_entropy(groups, rank, cuts, calls, counting=False):
    """Losses and gradients of (logits, target, options, upstream) on this rank."""
    results = []
    classes = part(cuts, rank)
    for x, target, options, upstream in calls:
        local = x[:, classes].clone().requires_grad_()
        if target.is_floating_point():
            target = target[:, classes]
        options = {name: local_of(value, classes, x.shape) for name, value in options.items()}
        with Collectives() as forward:
            loss = parallel.cross_entropy(
                local, target, group=groups.all, first_class=classes.start, **options
            )
        with Collectives() as backward:
            loss.backward(upstream.to(loss.dtype).expand_as(loss))
        counts = (forward.count, backward.count)
        results.append((loss.detach(), local.grad, counts) if counting else (loss.detach(), local.grad))
    return results


def log_probability_and_entropy(groups, rank, cuts, x, target, upstream):
    classes = part(cuts, rank)
    local = x[:, classes].clone().requires_grad_()
    result = parallel.log_probability_and_entropy(local, target, group=groups.all, first_class=classes.start)
    torch.autograd.backward(result, upstream)
    return result.log_probability.detach(), result.entropy.detach(), local.grad


def linear_cross_entropy(groups, rank, cuts, features, weight, bias, target, options, upstream):
    classes = part(cuts, rank)
    input = features.clone().requires_grad_()
    local = weight[classes].clone().requires_grad_()
    offset = None if bias is None else bias[classes].clone().requires_grad_()
    with Collectives() as forward:
        loss = parallel.linear_cross_entropy(
            input, local, target, bias=offset, group=groups.all, first_class=classes.start, **options
        )
    with Collectives() as backward:
        loss.backward(upstream.expand_as(loss))
    of_bias = None if offset is None else offset.grad
    return loss.detach(), input.grad, local.grad, of_bias, (forward.count, backward.count)


def grid(groups, rank, x, target, options):
    """Rows shared out over the columns of a grid of ranks, classes over its rows."""
    of_rows, of_classes = divmod(rank, 2)
    mine, classes = slice(0, 12) if of_rows == 0 else slice(12, N), part([18], of_classes)
    local = x[mine, classes].clone().requires_grad_()
    options = {name: local_of(value, classes, x.shape) for name, value in options.items()}
    loss = parallel.cross_entropy(
        local, target[mine], group=groups.row, rows_group=groups.column, first_class=classes.start, **options
    )
    loss.backward()
    return loss.detach(), local.grad


def failing(groups, rank, kind):
    """Return the errors raised if something is wrong on the last rank."""
    last = rank == dist.get_world_size(groups.all) - 1
    local, target, first_class, options = torch.zeros(4, 5), torch.tensor([0, 1, 2, 3]), 5 * rank, {}
    if kind == "weight":
        options["class_weight"] = torch.ones(5) if not last else torch.tensor([1.0, 1.0, -1.0, 1.0, 1.0])
    elif kind == "rows" and last:
        local, target = local[:3], target[:3]
    elif kind == "options" and last:
        options["label_smoothing"] = 0.1
    elif kind == "target" and last:
        target = torch.tensor([0, 1, 3, 2])
    elif kind == "gap" and last:
        first_class += 1
    elif kind == "overlap" and last:
        first_class -= 1
    elif kind == "label":
        target = torch.tensor([0, 1, 99, 3])
    elif kind == "no tensor" and last:
        local = [[0.0] * 5] * 4
    elif kind == "target shape" and last:
        target = target.unsqueeze(1)
    elif kind == "target sum":
        target = torch.full((4, 5), 0.3 if last else 0.1)
    elif kind == "negative target":
        target = torch.full((4, 5), 1 / 15)
        target[1, 2] = -0.25 if last else 1 / 15
    elif kind == "empty":
        local, first_class = local[:, :0], 0
    elif kind == "dtype" and last:
        local = local.double()
    elif kind == "gradient" and last:
        target = torch.zeros(4, 5, requires_grad=True)
    elif kind == "rows_group":
        options |= {"rows_group": groups.column, "reduction": "none"}
    elif kind == "other rows":
        if last:
            options["label_smoothing"] = 2.0
        return error_of(
            lambda: parallel.cross_entropy(
                torch.zeros(4, 5),
                target,
                group=groups.row,
                rows_group=groups.column,
                first_class=5 * (rank % 2),
                **options,
            )
        )
    return error_of(
        lambda: parallel.cross_entropy(local, target, group=groups.all, first_class=first_class, **options)
    )


def sizes(groups, rank, counts):
    """Losses of more and fewer rows, and the number of collectives."""
    generator = torch.Generator().manual_seed(rank)
    local = torch.randn(max(counts), 3, generator=generator)
    target = torch.arange(max(counts)) % 9
    results = []
    for count in counts:
        with Collectives() as collectives:
            loss = parallel.cross_entropy(
                local[:count], target[:count], group=groups.all, first_class=3 * rank, reduction="none"
            )
        results.append((loss, collectives.count))
    return results


def failing_later(groups, rank, function, options):
    """Return the errors raised if a function fails on rank 1."""

    def full(*_):
        raise MemoryError("full")

    module = _reduction if hasattr(_reduction, function) else _losses
    original = getattr(module, function)
    if rank == 1:
        setattr(module, function, full)
    try:
        return error_of(
            lambda: parallel.cross_entropy(
                torch.zeros(2, 3), torch.tensor([0, 8]), group=groups.all, first_class=3 * rank, **options
            )
        )
    finally:
        setattr(module, function, original)


def failing_to_provide(groups, rank):
    """Return the errors raised if rank 1, with few of very many classes, gets no memory for more words."""

    def full(*_):
        raise MemoryError("full")

    sizes, original = (300_000, 2, 3), _words.Words.provide
    if rank == 1:
        _words.Words.provide = full
    try:
        return error_of(
            lambda: parallel.cross_entropy(
                torch.zeros(2, sizes[rank]),
                torch.tensor([0, 8]),
                group=groups.all,
                first_class=(5, 0, 2)[rank],
                **{"label_smoothing": 0.1, "class_weight": torch.ones(sizes[rank])},
                where=torch.ones(2, sizes[rank], dtype=torch.bool),
            )
        )
    finally:
        _words.Words.provide = original


def error_of(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__, str(error)
    return None


def memory(groups, rank, dtype, settings):
    """Bytes per row that losses need beyond their arguments: at most at a time, and after the forward pass.

    A setting is the names of its options, and "soft" for class probabilities, "int32" for such labels. The
    bytes are the difference of two numbers of rows: what does not grow with the rows is left out. Temporaries
    are of few rows, so that they don't hide what does.
    """
    classes, found = 2, {}
    size, _shards._ROWS_AT_ONCE = _shards._ROWS_AT_ONCE, 32
    least, _words._LEAST = _words._LEAST, 1
    try:
        return _memory(groups, rank, dtype, settings, classes, found)
    finally:
        _shards._ROWS_AT_ONCE, _words._LEAST = size, least


def _memory(groups, rank, dtype, settings, classes, found):
    soft = 1 / (classes * dist.get_world_size(groups.all))
    for count in (256, 384):
        every = {
            "class_weight": torch.ones(classes),
            "label_smoothing": 0.1,
            "where": torch.ones(count, classes, dtype=torch.bool),
            "focal_gamma": 2.0,
            "z_loss": 0.1,
        }
        for names in settings:
            _words._last.clear()  # the size of the call before, which may have been larger
            local = torch.zeros(count, classes, dtype=dtype, requires_grad=True)
            target = torch.zeros(count, dtype=torch.int32 if "int32" in names else torch.int64)
            if "soft" in names:
                target = torch.full((count, classes), soft, dtype=dtype)
            options = {name: every[name] for name in every if name in names} | {"reduction": "none"}
            first_class = classes * rank
            with Allocated(tensors_of((local, target, options))) as allocated:
                loss = parallel.cross_entropy(
                    local, target, group=groups.all, first_class=first_class, **options
                )
            found[names, count] = allocated.peak, allocated.live()
            del loss
    return {
        names: tuple(
            (most - less) / 128 for less, most in zip(found[names, 256], found[names, 384], strict=True)
        )
        for names in settings
    }


def program(groups, rank, text):
    """What a program prints that starts the group of all processes, which is there already."""
    printed, original = io.StringIO(), dist.init_process_group
    dist.init_process_group = lambda backend: print(backend, end=": ")
    try:
        with contextlib.redirect_stdout(printed):
            exec(text, {"__name__": "__main__"})
    finally:
        dist.init_process_group = original
    return printed.getvalue()


def many_classes(groups, rank, x, target):
    """The losses of rows of many classes, of which the last rank holds some more."""
    ranks = dist.get_world_size(groups.all)
    step = x.shape[1] // ranks
    local = x[:, rank * step : x.shape[1] if rank == ranks - 1 else (rank + 1) * step]
    return parallel.cross_entropy(
        local, target, group=groups.all, first_class=rank * step, reduction="none", label_smoothing=0.001
    )


class Allocated(TorchDispatchMode):
    """Counts the bytes of the tensors that exist at a time, of those that were made meanwhile."""

    def __init__(self, given):
        super().__init__()
        self._known = {one.untyped_storage()._cdata for one in given}

    def __enter__(self):
        self.peak, self._made, self._bound = 0, {}, 0
        return super().__enter__()

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        if isinstance(result, torch.Tensor):
            self._add(result)
        else:
            for one in tensors_of(result):
                self._add(one)
        if self._bound > self.peak:
            self.peak = max(self.peak, self.live())
        return result

    def _add(self, tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in self._known and storage._cdata not in self._made:
            self._made[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
            self._bound += storage.nbytes()

    def live(self):
        """The bytes of those that still exist."""
        self._made = {key: made for key, made in self._made.items() if not made[0].expired()}
        self._bound = sum(size for _, size in self._made.values())
        return self._bound


def tensors_of(value):
    return [one for one in tree_leaves(value) if isinstance(one, torch.Tensor)]


class Collectives:
    """Counts the collectives that are called meanwhile."""

    names = ("all_gather", "all_reduce", "all_gather_into_tensor", "reduce_scatter", "broadcast", "barrier")

    def __enter__(self):
        self.count = 0
        self._functions = {name: getattr(dist, name) for name in self.names}
        for name, function in self._functions.items():
            setattr(dist, name, self._counting(function))
        return self

    def __exit__(self, *_):
        for name, function in self._functions.items():
            setattr(dist, name, function)

    def _counting(self, function):
        def counted(*arguments, **options):
            self.count += 1
            return function(*arguments, **options)

        return counted


def failing_layer(groups, rank, kind):
    """Return the errors raised if something is wrong with the layer on rank 1."""
    input, weight, options = torch.ones(2, 3), torch.ones(5, 3), {}
    if kind == "features" and rank == 1:
        weight = torch.ones(5, 4)
    elif kind == "budget" and rank == 1:
        options["memory_budget"] = 10
    elif kind == "bias" and rank == 1:
        weight, options["bias"] = weight[:0], torch.ones(3)
    return error_of(
        lambda: parallel.linear_cross_entropy(
            input, weight, torch.tensor([0, 1]), group=groups.all, first_class=5 * rank, **options
        )
    )


def failing_backward(groups, rank):
    """Return the errors raised if the gradients of a layer fail on rank 1."""
    input, weight = torch.ones(2, 3, requires_grad=True), torch.ones(5, 3, requires_grad=True)
    loss = parallel.linear_cross_entropy(
        input, weight, torch.tensor([0, 1]), group=groups.all, first_class=5 * rank
    )

    def full(*_):
        raise MemoryError("full")

    module = importlib.import_module("softmaxlib.torch.parallel.linear_cross_entropy")
    original = module.gradients_of
    if rank == 1:
        module.gradients_of = full
    try:
        return error_of(loss.backward)
    finally:
        module.gradients_of = original


def first_of(numbers, shape):
    """As many of the numbers as the shape holds."""
    return numbers.flatten()[: shape.numel()].view(shape)


def dtensors(groups, rank, x, target, options, dims, upstream):
    """Whole results and gradients of functions on DTensors, on a mesh of 4 or of 2 x 2."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    mesh = init_device_mesh("cpu", dims)
    placements = [Shard(0)] * (len(dims) - 1) + [Shard(1)]
    leaf = distribute_tensor(x, mesh, placements).requires_grad_()
    if target.is_floating_point():
        target = distribute_tensor(target, mesh, placements)
    elif len(dims) == 2:
        target = distribute_tensor(target, mesh, [Shard(0), Replicate()])
    results = []
    for call in (
        lambda: softmaxlib.torch.cross_entropy(leaf, target, **options),
        lambda: softmaxlib.torch.CrossEntropyLoss(reduction="none")(leaf, target),
        lambda: softmaxlib.torch.softmax(leaf, 1, temperature=2.0),
        lambda: softmaxlib.torch.LogSoftmax(1)(leaf),
        lambda: softmaxlib.torch.logsumexp(leaf, 1),
        lambda: softmaxlib.torch.logsumexp(leaf, 1, keepdim=True, where=torch.arange(K) % 3 > 0),
    ):
        leaf.grad = None
        result = call()
        arriving = distribute_tensor(first_of(upstream, result.shape), mesh, result.placements)
        result.backward(arriving)
        results.append((result.full_tensor().detach(), leaf.grad.full_tensor()))
    return results


def learned_temperature(groups, rank, x, dims, upstream, as_parameter):
    """Softmax, log_softmax and logsumexp of logits divided by a learned temperature, and its gradient."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    mesh = init_device_mesh("cpu", dims)
    logits = distribute_tensor(x, mesh, [Shard(0)] * (len(dims) - 1) + [Shard(1)])
    results = []
    for function in (softmaxlib.torch.softmax, softmaxlib.torch.log_softmax):
        number = torch.tensor(1.7)
        if as_parameter:
            number = distribute_tensor(number, mesh, [Replicate()] * len(dims))
        number.requires_grad_()
        result = function(logits, 1, temperature=number)
        result.backward(distribute_tensor(upstream, mesh, result.placements))
        gradient = number.grad.full_tensor() if as_parameter else number.grad
        results.append((result.full_tensor().detach(), gradient))
    return results


def dtensor_layer(groups, rank, dims, features, weight, bias, target):
    """The loss of a layer whose weight is a DTensor, and the gradients."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    mesh = init_device_mesh("cpu", dims)
    rows, replicated = ([Shard(0), Replicate()], [Replicate()]) if len(dims) == 2 else ([Replicate()], [])
    head = softmaxlib.torch.LinearCrossEntropyLoss(5, K, bias=True, label_smoothing=0.1)
    for name, value in (("weight", weight), ("bias", bias)):
        value = distribute_tensor(value, mesh, [*replicated, Shard(0)])
        setattr(head, name, torch.nn.Parameter(value))
    input = distribute_tensor(features, mesh, rows).requires_grad_()
    loss = head(input, distribute_tensor(target, mesh, rows))
    loss.backward()
    return [one.full_tensor().detach() for one in (loss, input.grad, head.weight.grad, head.bias.grad)]


def wrong_dtensors(groups, rank):
    """Return the errors raised for DTensors that can't be split into shards."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (4,))
    x = torch.zeros(4, 8)
    by_rows, whole, by_classes = (
        distribute_tensor(x, mesh, [one]) for one in (Shard(0), Replicate(), Shard(1))
    )
    temperature = torch.ones((4, 1))
    return [
        error_of(lambda: softmaxlib.torch.softmax(by_rows, 1)),
        error_of(lambda: softmaxlib.torch.cross_entropy(whole, torch.zeros(4, dtype=torch.int64))),
        error_of(lambda: softmaxlib.torch.softmax(by_classes, (0, 1))),
        error_of(lambda: softmaxlib.torch.softmax(by_classes, 1, temperature=temperature)),
        error_of(lambda: softmaxlib.torch.cross_entropy(by_classes, by_rows)),
    ]


def penalties(groups, rank):
    """Return the errors raised if a penalty of the gradient is differentiated, and whether one can be had."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    mesh, target = init_device_mesh("cpu", (4,)), torch.tensor([0, 1, 2])
    x, features, weight = torch.randn(3, 8), torch.randn(3, 5), torch.randn(8, 5)
    of_rank = {"group": groups.all, "first_class": 2 * rank}
    local, layer = x[:, 2 * rank : 2 * rank + 2], weight[2 * rank : 2 * rank + 2]
    by_classes, by_weight = (
        distribute_tensor(x, mesh, [Shard(1)]),
        distribute_tensor(weight, mesh, [Shard(0)]),
    )
    probabilities = parallel.log_probability_and_entropy
    cases = [
        (local, lambda x: parallel.cross_entropy(2 * x, target, **of_rank)),
        (layer, lambda weight: parallel.linear_cross_entropy(features, weight, target, **of_rank)),
        (features, lambda features: parallel.linear_cross_entropy(features, layer, target, **of_rank)),
        (local, lambda x: probabilities(x, target, **of_rank).log_probability.sum()),
        (local, lambda x: probabilities(x, target, **of_rank).entropy.sum()),
        (by_classes, lambda x: softmaxlib.torch.cross_entropy(2 * x, target)),
        (by_weight, lambda weight: softmaxlib.torch.linear_cross_entropy(features, weight, target)),
        (by_classes, lambda x: softmaxlib.torch.logsumexp(x, 1).sum()),
        (
            torch.tensor(1.5),
            lambda t: softmaxlib.torch.log_softmax(by_classes, 1, temperature=t).full_tensor()[0, 0],
        ),
    ]
    results = []
    for start, function in cases:
        leaf = start.clone().requires_grad_()
        loss = function(leaf)
        (plain,) = torch.autograd.grad(loss, leaf, retain_graph=True)
        (gradient,) = torch.autograd.grad(loss, leaf, create_graph=True)
        is_same = torch.equal(whole_of(gradient.detach()), whole_of(plain))
        results.append((is_same, *error_of((loss + 10 * gradient.square().sum()).backward)))
    return results


def whole_of(tensor):
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def learned_weights(groups, rank):
    """Return the errors raised if the weights of the classes require a gradient."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    mesh, target = init_device_mesh("cpu", (4,)), torch.tensor([0, 1, 2])
    weight = torch.ones(8, requires_grad=True)
    x = distribute_tensor(torch.zeros(3, 8), mesh, [Shard(1)])
    sharded = distribute_tensor(torch.ones(8), mesh, [Shard(0)]).requires_grad_()
    return [
        error_of(
            lambda: parallel.cross_entropy(
                torch.zeros(3, 2), target, weight[:2], group=groups.all, first_class=2 * rank
            )
        ),
        error_of(lambda: softmaxlib.torch.cross_entropy(x, target, weight)),
        error_of(lambda: softmaxlib.torch.cross_entropy(x, target, sharded)),
    ]


def narrow_labels(groups, rank, x, weight, target):
    """Losses of labels of a narrow dtype, whose classes lie on shards beyond its largest number."""
    classes = slice(100 * rank, 100 * rank + 100)
    of_rank = {"group": groups.all, "first_class": classes.start}
    return (
        parallel.cross_entropy(x @ weight[classes].T, target, **of_rank),
        parallel.linear_cross_entropy(x, weight[classes], target, **of_rank),
        parallel.log_probability_and_entropy(x @ weight[classes].T, target, **of_rank).log_probability,
    )
