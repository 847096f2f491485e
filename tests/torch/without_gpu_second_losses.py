"""Second derivatives of losses on CPU tensors, without a GPU, beside differences in many digits."""

import mpmath
import torch
from distances import doubles, note, units

from softmaxlib.torch._triton import losses, sigmoid_losses_launch

STEP = mpmath.mpf(2) ** -150
IGNORED = 3
DTYPES = (torch.float32, torch.bfloat16, torch.float64)


def cases():
    """Name, logits, target and options."""
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(6, 8, generator=generator)
    x[0, 7], x[1, 3], x[2, 0], x[3, 5] = 60.0, 35.0, torch.nan, torch.inf
    y = torch.tensor([7, 3, IGNORED, 5, 6, 1])
    weight, where = torch.rand(8, generator=generator), torch.rand(6, 8, generator=generator) > 0.3
    where[0, 7], where[5] = True, False
    target = torch.softmax(3 * torch.randn(6, 8, generator=generator), -1)
    target[:, 4] = 0.0
    target /= target.sum(-1, keepdim=True)
    left = torch.where(torch.arange(8) == 2, -torch.inf, x)
    yield "labels, one class impossible", left, y, {"ignore_index": IGNORED}
    yield "smoothing and more", x, y, {
        "class_weight": weight, "where": where, "ignore_index": IGNORED, "z_loss": 1e-2,
        "label_smoothing": 0.2,
    }  # fmt: skip
    yield "probabilities", x, target, {"class_weight": weight, "label_smoothing": 0.1, "z_loss": 1e-2}
    yield "focal", x, y, {"focal_gamma": 2.0, "where": where}
    yield "focal, probabilities", x, target, {"focal_gamma": 0.5, "class_weight": weight}
    far = torch.randn(2, 5, 3, generator=generator)
    yield "far apart, mean", far, torch.tensor([[0, 4, 1], [IGNORED, 2, 2]]), {
        "ignore_index": IGNORED, "class_weight": weight[:5], "reduction": "mean",
    }  # fmt: skip
    yield "two tiles", torch.linspace(-5, 4, 1100)[None], torch.tensor([1095]), {}


def exact_products(x, v, coefficients, row_weight, masked, options):
    """The products of a tangent with gradient and Hessian of a row, by differences of the loss.

    A masked label, of the coefficient ``masked``, costs an infinite constant and pulls at the other classes.
    """
    moved = [[a + sign * STEP * b for a, b in zip(x, v, strict=True)] for sign in (1, -1)]
    powers = [[mpmath.exp(one) for one in each] for each in moved]
    totals = [mpmath.fsum(one) for one in powers]
    pulling = [(c, a) for c, a in enumerate(coefficients) if a]

    def loss(side, j, by):
        factor = mpmath.exp(by)
        total = totals[side] + powers[side][j] * (factor - 1)
        log_sum = mpmath.log(total)
        value = mpmath.mpf(options.z_loss) * row_weight * log_sum**2 + masked * log_sum
        for c, a in pulling:
            logit = moved[side][c] + (by if c == j else 0)
            if options.focal_gamma:
                p = powers[side][c] * (factor if c == j else 1) / total
                a *= (1 - p) ** mpmath.mpf(options.focal_gamma)
            value += a * (log_sum - logit)
        return value

    hessian = []
    for j in range(len(x)):
        four = loss(0, j, STEP) - loss(0, j, -STEP) - loss(1, j, STEP) + loss(1, j, -STEP)
        hessian.append(four / (4 * STEP * STEP))
    return (loss(0, 0, 0) - loss(1, 0, 0)) / (2 * STEP), hessian


def exact(x, v, target, options):
    """The products for the rows of a matrix, NaN for those with NaN or infinity, 0 where nothing counts."""
    rows, classes = x.shape
    products, hessian = torch.zeros(rows, dtype=torch.float64), torch.zeros(x.shape, dtype=torch.float64)
    for r in range(rows):
        exists = torch.ones(classes, dtype=torch.bool) if options.where is None else options.where[r]
        label = None if target.is_floating_point() else int(target[r])
        if label == options.ignore_index or not exists.any():
            continue
        kept = [c for c in range(classes) if (exists[c] and x[r, c] > -torch.inf) or x[r, c].isnan()]
        if not x[r][kept].isfinite().all():
            products[r], hessian[r] = torch.nan, torch.where(exists, torch.nan, 0.0)
            continue
        weight = torch.ones(classes) if options.class_weight is None else options.class_weight
        w = [mpmath.mpf(one) for one in weight.tolist()]
        q = [mpmath.mpf(float(target[r, c]) if label is None else c == label) for c in range(classes)]
        smoothing = mpmath.mpf(options.label_smoothing)
        share = smoothing / int(exists.sum())
        a = [w[c] * ((1 - smoothing) * q[c] + share) if exists[c] else mpmath.mpf(0) for c in range(classes)]
        masked = mpmath.fsum(w[c] * (1 - smoothing) * q[c] for c in range(classes) if not exists[c])
        given = [[mpmath.mpf(float(one[r, c])) for c in kept] for one in (x, v)]
        product, values = exact_products(*given, [a[c] for c in kept], mpmath.fdot(w, q), masked, options)
        products[r] = float(product)
        for c, value in zip(kept, values, strict=True):
            hessian[r, c] = float(value)
    return products, hessian


def check_rows(worst):
    """Compare the kernel for rows with differences of the loss, and of means with the single rows."""
    generator = torch.Generator().manual_seed(1)
    for name, x, target, given in cases():
        options = losses.Options(None, None, 1, 0.0, -100, 0.0, 0.0, "none")._replace(**given)
        narrow = name.startswith(("labels", "far"))
        for dtype in DTYPES if narrow else (torch.float32, torch.float64):
            logits, v = x.to(dtype), torch.randn(x.shape, generator=generator).to(dtype)
            rows, tangents = (one.movedim(1, -1).reshape(-1, one.shape[1]) for one in (logits, v))
            labels = target if target.is_floating_point() else target.reshape(-1)
            with mpmath.workprec(900):
                products, hessian = exact(rows.double(), tangents.double(), labels, options)
            arriving = torch.linspace(-2, 3, len(rows)).to(dtype)
            if options.reduction == "mean":
                arriving = torch.tensor(1.5, dtype=dtype)
                weight = torch.where(labels == options.ignore_index, 0.0, options.class_weight[labels])
                products = products.sum() / weight.double().sum()
                hessian /= weight.double().sum()
                factor = arriving.double()
            else:
                arriving = arriving.reshape(x[:, 0].shape)
                factor = arriving.double().reshape(-1, 1)
            hessian = torch.where(hessian == 0, 0.0, hessian * factor)
            slope, got = losses.cross_entropy_vjp_vjp(v, arriving, logits, target, *options)
            assert got.stride() == torch.empty_like(logits).stride()
            assert slope.shape == arriving.shape
            got, slope = got.movedim(1, -1).reshape(rows.shape), slope.reshape(products.shape)
            if dtype == torch.float64:
                largest = tangents.abs().amax()  # both are differences of parts as large as this
                error = (
                    doubles(slope, products, largest),
                    doubles(got, hessian, largest * factor.abs().amax()),
                )
            else:
                error = units(slope, products), units(got, hessian)
            note(worst, f"second of loss {dtype}", f"{name}, by what arrives", error[0])
            note(worst, f"second of loss {dtype}", f"{name}, by the logits", error[1])
            assert torch.equal(got == 0, hessian.to(dtype) == 0), name


def exact_element(x, positive, negative, gamma):
    """The first and second derivative of the loss of a logit, by differences."""

    def loss(at):
        p, q = (1 / (1 + mpmath.exp(sign * (x + at))) for sign in (-1, 1))
        return -(positive * q**gamma * mpmath.log(p) + negative * p**gamma * mpmath.log(q))

    ahead, here, back = loss(STEP), loss(0), loss(-STEP)
    return float((ahead - back) / (2 * STEP)), float((ahead - 2 * here + back) / STEP**2)


def check_elements(worst):
    """Compare the kernel for binary logits with differences of the loss."""
    generator = torch.Generator().manual_seed(2)
    x = 4 * torch.randn(4, 5, generator=generator)
    x[0] = torch.tensor([0.0, 90.0, -90.0, 20.0, torch.nan])
    y, v = torch.rand(4, 5, generator=generator), torch.randn(4, 5, generator=generator)
    weight, pos_weight = torch.rand(4, 1, generator=generator), 3 * torch.rand(5, generator=generator)
    where = torch.rand(4, 5, generator=generator) > 0.3
    for name, reduction, given in (
        ("plain", "none", {}),
        ("all", "none", {"weight": weight, "pos_weight": pos_weight, "where": where, "focal_gamma": 2.0}),
        ("focal", "mean", {"focal_gamma": 0.5, "label_smoothing": 0.1, "where": torch.arange(5) < 4}),
    ):
        options = sigmoid_losses_launch.Options(None, None, None, 0.0, 0.0, reduction)._replace(**given)
        mask = torch.ones(4, 5, dtype=torch.bool) if options.where is None else options.where.expand(4, 5)
        for dtype in DTYPES:
            logits, tangent = x.to(dtype), v.to(dtype)
            first, second = torch.zeros(4, 5).double(), torch.zeros(4, 5).double()
            smoothing = mpmath.mpf(options.label_smoothing)
            for at in mask.nonzero().tolist():
                i, j = at
                target = (1 - smoothing) * mpmath.mpf(float(y[i, j])) + smoothing / 2
                w = 1.0 if options.weight is None else float(weight[i, 0])
                both = (
                    w * target * (1.0 if options.pos_weight is None else float(pos_weight[j])),
                    w * (1 - target),
                )
                with mpmath.workprec(900):
                    found = exact_element(float(logits[i, j]), *both, mpmath.mpf(options.focal_gamma))
                first[i, j], second[i, j] = found
            first, second = first * tangent.double(), second * tangent.double()
            arriving = torch.linspace(-1, 2, 20).reshape(4, 5).to(dtype)
            if reduction == "mean":
                arriving = torch.tensor(1.5, dtype=dtype)
                first, second = first.sum() / mask.sum(), second / mask.sum()
            second = torch.where(mask, second * arriving.double(), 0.0)
            slope, got = sigmoid_losses_launch.sigmoid_cross_entropy_vjp_vjp(
                tangent, arriving, logits, y, *options
            )
            if dtype == torch.float64:
                error = (
                    doubles(slope, first, first.nan_to_num().abs().amax()),
                    doubles(got, second, second.nan_to_num().abs().amax()),
                )
            else:
                error = units(slope, first), units(got, second)
            note(worst, f"second of binary loss {dtype}", f"{name}, by what arrives", error[0])
            note(worst, f"second of binary loss {dtype}", f"{name}, by the logits", error[1])


def check(worst):
    """Check all."""
    check_rows(worst)
    check_elements(worst)
