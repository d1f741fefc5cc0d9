"""Tests of lab 14, with their points. `student` is the lab under test: a solution or a submission.

The oracles are torch's scaled_dot_product_attention, nn.MultiheadAttention and
nn.TransformerEncoderLayer in float64, and arithmetic by hand.
"""

import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from dlcourse.check import expect, points

F64 = torch.float64
# Torch's own answers to the tasks of this lab, and the operators behind them.
OF_TORCH = ("*attention*", "*Attention*", "*transformer*", "*Transformer*", "*multi_head*")


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def refused(function, *args, **kwargs):
    """Check that `function` raises a ValueError."""
    try:
        got = function(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 (the student's error, whatever its class)
        said = str(error)
    else:
        said = f"the result {got!r}"
    assert said.startswith("ValueError"), f"expected a ValueError, got {said}"


def attend(queries, keys, values, mask):
    """Attention with its typical mistakes, and the right answer under the name ""."""
    D = queries.shape[-1]
    raw = queries @ keys.transpose(-2, -1)
    hidden = raw.masked_fill(~mask, -math.inf)
    weights = {
        "": hidden / math.sqrt(D),
        "not dividing by sqrt(D)": hidden,
        "dividing by D instead of sqrt(D)": hidden / D,
        "dividing by the root of the number of keys": hidden / math.sqrt(keys.shape[-2]),
        "dividing by the root of the values' width": hidden / math.sqrt(values.shape[-1]),
        "hiding where the mask is True": (raw / math.sqrt(D)).masked_fill(mask, -math.inf),
        "ignoring the mask": raw / math.sqrt(D),
        "giving hidden keys a score of 0 instead of -inf": raw.where(mask, 0) / math.sqrt(D),
    }
    found = {name: scores.softmax(-1) for name, scores in weights.items()}
    found["setting weights to 0 after the softmax"] = found["ignoring the mask"] * mask
    found["a softmax over the queries"] = weights[""].softmax(-2)
    return {name: (w @ values, w) for name, w in found.items()}


@points(1, task="14.1", hint="softmax(queries @ keys^T / sqrt(D)); mask before the softmax",
        forbidden=OF_TORCH)  # fmt: skip
def test_attention_of_one_text(student):
    queries, keys, values = 2 * randn(3, 4), randn(5, 4, seed=1), randn(5, 2, seed=2)
    mask = torch.tensor([[1, 0, 0, 0, 1], [1, 1, 0, 1, 0], [0, 0, 1, 0, 0]]).bool()
    answers = attend(queries, keys, values, mask)
    expected = answers.pop("")
    got, left = student.probe("in_place", "attention", queries, keys, values, mask)
    expect(got, expected, ("outputs", "weights"), mistakes=answers)
    expect(left, [queries, keys, values, mask], "the arguments, which must not change")
    everywhere = attend(queries, keys, values, torch.ones_like(mask))
    expect(
        student.attention(queries, keys, values),
        everywhere[""],
        ("outputs", "weights"),
        mistakes={"a softmax over the queries": everywhere["a softmax over the queries"]},
    )


@points(0.5, task="14.1", hint="use only the last two dimensions; all others are alike")
def test_attention_of_many_heads_at_once(student):
    queries, keys, values = randn(2, 3, 4, 6), randn(2, 3, 5, 6, seed=1), randn(2, 3, 5, 7, seed=2)
    mask = randn(4, 5, seed=3) > 0
    mask[:, 2] = True
    got, weights = student.attention(queries, keys, values, mask)
    expected = F.scaled_dot_product_attention(queries, keys, values, mask)
    expect(got, expected, "outputs, compared with torch's")
    expect(weights.sum(-1), torch.ones(2, 3, 4, dtype=F64), "the sum of the weights of each query")
    padding = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]).bool()[:, None, None]  # (N, 1, 1, S)
    expected = F.scaled_dot_product_attention(queries, keys, values, padding)
    expect(student.attention(queries, keys, values, padding)[0], expected, "outputs with padding")
    leaves = [part.requires_grad_() for part in (queries, keys)]
    wanted = F.scaled_dot_product_attention(*leaves, values).sum()
    got = student.probe("gradients", "attention", *leaves, values)
    # The weights of a query add up to 1, so their sum has no gradient.
    right = [*torch.autograd.grad(wanted, leaves)]
    # sqrt(D) may be a float32, whose rounding reaches the small gradients.
    expect(got, right, "the gradients of queries and keys", atol=1e-6)


@points(0.5, task="14.1", hint="check mask.any(dim=-1) before the softmax; it must all be True")
def test_attention_refuses_a_query_without_a_key(student):
    x = randn(2, 3, 4)
    mask = torch.ones(2, 1, 3, dtype=torch.bool)
    mask[1] = False
    refused(student.attention, x, x, x, mask)
    one = torch.ones(3, 3, dtype=torch.bool)
    one[1] = False
    refused(student.attention, x, x, x, one)
    query, keys = torch.tensor([[1000.0]]).double(), torch.tensor([[0.0], [2.0]]).double()
    large = student.attention(query, keys,
                              torch.tensor([[1.0], [3.0]]).double())[0]  # fmt: skip
    expect(large, torch.tensor([[3.0]]).double(), "the outputs for scores of 0 and 2000")


@points(1, task="14.1", hint="other shapes and masks, and the gradient", hidden=True)
def test_attention_of_other_shapes(student):
    for shape, T, S, D, V in [((), 1, 6, 3, 5), ((4,), 5, 2, 1, 1), ((2, 2), 3, 3, 16, 4)]:
        queries, keys = 3 * randn(*shape, T, D, seed=T), randn(*shape, S, D, seed=S)
        values = randn(*shape, S, V, seed=V)
        mask = randn(*shape, T, S, seed=D) > 0.3
        mask[..., 0] = True
        answers = attend(queries, keys, values, mask)
        expect(student.attention(queries, keys, values, mask), answers[""])
        expected = F.scaled_dot_product_attention(queries, keys, values)
        expect(student.attention(queries, keys, values)[0], expected)
    q, k, v = (randn(3, 4, seed=n).requires_grad_() for n in range(3))
    outputs, weights = attend(q, k, v, torch.ones(3, 3).tril().bool())[""]
    wanted = torch.autograd.grad(outputs.sum() + weights.sum(), (q, k, v))
    found = student.probe("gradients", "attention", q, k, v, torch.ones(3, 3).tril().bool())
    for one, other in zip(found, wanted, strict=True):
        expect(one, other, atol=1e-7)
    some = torch.ones(3, 3).bool()
    for mask in (~some, some & torch.tensor([[True], [False], [True]])):
        refused(student.attention, q.detach(), k.detach(), v.detach(), mask)
    query, keys = torch.tensor([[-900.0]]).double(), torch.tensor([[1.0], [-1.0]]).double()
    large = student.attention(query, keys, torch.tensor([[2.0], [5.0]]).double())[0]
    expect(large, torch.tensor([[5.0]]).double(), "scores of -900 and 900")


@points(0.5, task="14.2", hint="query t is at place t + num_keys - num_queries")
def test_causal_mask_by_hand(student):
    for (T, S), rows in {
        (3, 3): [[1, 0, 0], [1, 1, 0], [1, 1, 1]],
        (2, 4): [[1, 1, 1, 0], [1, 1, 1, 1]],
        (1, 3): [[1, 1, 1]],
    }.items():
        expected = torch.tensor(rows).bool()
        ones = torch.ones(T, S)
        mistakes = {
            "True where a query must not look": ~expected,
            "swapping queries and keys": ones.triu(S - T).bool(),
            "a query that cannot look at itself": ones.tril(S - T - 1).bool(),
            "placing the queries at the first places": ones.tril().bool(),
        }
        expect(student.causal_mask(T, S), expected, mistakes=mistakes)


@points(0.5, task="14.2", hint="other numbers of queries and keys", hidden=True)
def test_causal_mask_of_other_sizes(student):
    for T, S in [(1, 1), (5, 5), (4, 9), (1, 12), (7, 8)]:
        expect(student.causal_mask(T, S), torch.ones(T, S).tril(S - T).bool())


def weights_for(E, seed):
    """The four weights of multi_head, and torch's layer with the same ones."""
    w = [
        randn(*shape, seed=seed + n) for n, shape in enumerate([(3 * E, E), (3 * E,), (E, E), (E,)])
    ]
    w[0], w[2] = w[0] / E**0.5, w[2] / E**0.5

    def layer(num_heads):
        made = nn.MultiheadAttention(E, num_heads, batch_first=True, dtype=F64)
        names = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
        made.load_state_dict(dict(zip(names, w, strict=True)))
        return made

    return w, layer


def causal(layer, x):
    """Outputs and weights of torch's layer with a causal mask."""
    hidden = torch.ones(x.shape[1], x.shape[1]).triu(1).bool()
    return layer(x, x, x, attn_mask=hidden, average_attn_weights=False)


def wrong_heads(x, w, H):
    """What typical mistakes in multi_head give, by name."""
    N, T, E = x.shape
    mask = torch.ones(T, T).tril().bool()
    q, k, v = F.linear(x, w[0], w[1]).chunk(3, -1)

    def split(part):
        return part.view(N, T, H, E // H).transpose(1, 2)

    def run(q, k, v, mask=mask, scale=None):
        scores = (q @ k.transpose(-2, -1)) * (scale or q.shape[-1] ** -0.5)
        weights = scores.masked_fill(~mask, -math.inf).softmax(-1)
        return weights @ v, weights

    def merged(outputs):
        return outputs.transpose(1, 2).flatten(2)

    heads, weights = run(split(q), split(k), split(v))
    alternating = [part.view(N, T, E // H, H).permute(0, 3, 1, 2) for part in (q, k, v)]
    uncut = [part.reshape(N, H, T, E // H) for part in (q, k, v)]
    no_mask = run(split(q), split(k), split(v), torch.ones_like(mask))
    wide = run(split(q), split(k), split(v), scale=E**-0.5)
    swapped = run(split(k), split(q), split(v))
    odd = run(*alternating)
    mixed = run(*uncut)
    out = [w[2], w[3]]
    return {
        "leaving out the transpose before the heads are joined": (
            F.linear(heads.reshape(N, T, E), *out), weights,
        ),
        "leaving out the transpose after the cut into heads": (
            F.linear(merged(mixed[0]), *out), mixed[1],
        ),
        "cutting heads from every H-th column": (F.linear(merged(odd[0]), *out), odd[1]),
        "leaving out the causal mask": (F.linear(merged(no_mask[0]), *out), no_mask[1]),
        "dividing by sqrt(E) instead of sqrt(E / H)": (F.linear(merged(wide[0]), *out), wide[1]),
        "swapping queries and keys": (F.linear(merged(swapped[0]), *out), swapped[1]),
        "leaving out out_bias": (F.linear(merged(heads), w[2]), weights),
        "leaving out the last layer": (merged(heads), weights),
        "out_weight instead of its transpose": (merged(heads) @ w[2] + w[3], weights),
    }  # fmt: skip


@points(
    1,
    task="14.3",
    needs=("14.1", "14.2"),
    forbidden=OF_TORCH,
    hint="cut: view(N, T, H, E / H).transpose(1, 2); join: transpose(1, 2).flatten(2)",
)
def test_multi_head_equals_torchs_layer(student):
    w, layer = weights_for(12, seed=5)
    x = randn(2, 5, 12)
    expected = causal(layer(3), x)
    got = student.multi_head(x, *w, 3)
    expect(got, expected, ("outputs", "weights"), mistakes=wrong_heads(x, w, 3))
    expect(student.multi_head(x, *w, num_heads=1)[0], causal(layer(1), x)[0], "with one head")
    expect(student.multi_head(x[:1], *w, 3)[0], expected[0][:1], "one text")
    student.probe("gradients", "multi_head", *(part.requires_grad_() for part in (x, *w)), 3)


@points(0.5, task="14.3", hint="check x.shape[-1] % num_heads first")
def test_multi_head_refuses_a_width_that_heads_do_not_divide(student):
    w, _ = weights_for(6, seed=1)
    for num_heads in (4, 5, 12):
        refused(student.multi_head, randn(1, 2, 6), *w, num_heads)


@points(1.5, task="14.3", hint="other sizes, and the gradient", needs=("14.1", "14.2"), hidden=True)
def test_multi_head_of_other_sizes(student):
    for N, T, E, H in [(1, 1, 4, 2), (3, 7, 8, 8), (1, 4, 10, 5), (2, 6, 9, 1)]:
        w, layer = weights_for(E, seed=N)
        x = randn(N, T, E, seed=T)
        expect(student.multi_head(x, *w, H), causal(layer(H), x), ("outputs", "weights"))
    w, layer = weights_for(6, seed=3)
    x, made = randn(2, 4, 6, seed=1).requires_grad_(), layer(2)
    outputs, weights = causal(made, x)
    leaves = [x, made.in_proj_weight, made.in_proj_bias, *made.out_proj.parameters()]
    wanted = torch.autograd.grad(outputs.sum() + weights.sum(), leaves)
    found = student.probe("gradients", "multi_head", x, *(part.requires_grad_() for part in w), 2)
    expect(found, list(wanted), atol=1e-7)
    w = [part.detach() for part in w]
    refused(student.multi_head, randn(1, 2, 6), *w, 4)


def table(T, E):
    """The positions, number by number."""
    return torch.tensor(
        [[(math.cos if i % 2 else math.sin)(t / 10_000 ** (i // 2 * 2 / E)) for i in range(E)]
         for t in range(T)]
    )  # fmt: skip


@points(0.5, task="14.4", hint="sines in the columns 0, 2, 4, ..., cosines in 1, 3, 5, ...")
def test_positions_by_hand(student):
    expected = table(5, 6)
    halves = torch.cat([expected[:, 0::2], expected[:, 1::2]], 1)
    mistakes = {
        "all sines first, then all cosines": halves,
        "cosines before sines": expected.view(5, 3, 2).flip(2).flatten(1),
        "counting from 1": table(6, 6)[1:],
        "the exponent i / width instead of 2i / width": table(5, 12)[:, :6],
    }
    got = student.positions(5, 6)
    expect(got, expected, mistakes=mistakes)
    expect(got.dtype, torch.float32, "dtype")
    expect(student.positions(3, 2), table(3, 2), "positions(3, 2)")


@points(0.5, task="14.4", hint="other numbers of places and widths", hidden=True)
def test_positions_of_other_sizes(student):
    for T, E in [(1, 4), (300, 8), (7, 64), (2, 10)]:
        got = student.positions(T, E)
        expect(got, table(T, E), atol=1e-3)
        assert got.dtype == torch.float32, f"expected float32, got {got.dtype}"


def redrawn(model, seed=0):
    """Give `model` random weights in float64, also those that start as 0 or 1; return them."""
    model.double()
    old = model.state_dict()
    state = {}
    for number, (name, weight) in enumerate(old.items()):
        drawn = randn(*weight.shape, seed=1000 * seed + number)
        scale = weight.shape[-1] ** -0.5 if weight.dim() > 1 else 0.3
        state[name] = scale * drawn + (name.endswith("weight") and weight.dim() == 1)
    model.load_state_dict(state)
    return state


def part_of(state, prefix):
    return {name.removeprefix(prefix): w for name, w in state.items() if name.startswith(prefix)}


def block(state, x, num_heads, **settings):
    """The block of torch with these weights, with a causal mask."""
    E = x.shape[-1]
    settings = {"norm_first": True, "activation": "gelu"} | settings
    layer = nn.TransformerEncoderLayer(
        E, num_heads, 4 * E, 0.0, batch_first=True, dtype=F64, **settings
    )
    layer.load_state_dict(state)
    mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=F64)
    return functional_call(layer, state, (x, mask), {"is_causal": True})


def wrong_blocks(state, x, num_heads):
    """What typical mistakes in the block give, by name."""
    norm1, norm2 = ((state[f"norm{n}.weight"], state[f"norm{n}.bias"]) for n in (1, 2))

    def norm(x, w):
        return F.layer_norm(x, x.shape[-1:], *w)

    def attended(x):
        layer = nn.MultiheadAttention(x.shape[-1], num_heads, batch_first=True, dtype=F64)
        layer.load_state_dict(part_of(state, "self_attn."))
        return causal(layer, x)[0]

    def feed(x):
        hidden = F.gelu(F.linear(x, state["linear1.weight"], state["linear1.bias"]))
        return F.linear(hidden, state["linear2.weight"], state["linear2.bias"])

    y = x + attended(norm(x, norm1))
    return {
        "a norm after each part instead of before it": block(state, x, num_heads, norm_first=False),
        "ReLU instead of GELU": block(state, x, num_heads, activation="relu"),
        "leaving out the first shortcut": y - x + feed(norm(y - x, norm2)),
        "leaving out the second shortcut": feed(norm(y, norm2)),
        "leaving out the norms": (z := x + attended(x)) + feed(z),
        "using norm1 twice": y + feed(norm(y, norm1)),
        "adding both parts to the same x": y + feed(norm(x, norm2)),
        "a shortcut from the normalized x": (z := norm(x, norm1) + attended(norm(x, norm1)))
        + feed(norm(z, norm2)),
    }


def stand_in_cache(asked, num_tokens=0):
    """A cache that keeps nothing, and notes in `asked` how many new tokens it was given."""

    def extend(keys, values):
        asked.append(keys.shape[2])
        return keys, values

    label = f"<a cache of {num_tokens} tokens>"  # for messages
    return SimpleNamespace(extend=extend, num_tokens=num_tokens, _label=label)


@points(
    1,
    task="14.5",
    needs=("14.3",),
    forbidden=OF_TORCH,
    hint="y = x + self_attn(norm1(x)), then y + linear2(gelu(linear1(norm2(y))))",
)
def test_block_is_pre_norm(student):
    model = student.Block(8, 2)
    state = redrawn(model)
    x = 2 * randn(2, 5, 8, seed=9)
    expected = block(state, x, 2)
    expect(model(x), expected, mistakes=wrong_blocks(state, x, 2))
    asked = []
    cache = stand_in_cache(asked)
    expect(model(x[:1, :2], cache), expected[:1, :2], "with an empty cache")
    expect(asked, [2], "the numbers of tokens that the block's cache was given",
           mistakes={"ignoring the cache": []})  # fmt: skip
    student.probe("gradients", model, x[:1].requires_grad_())


@points(1, task="14.5", needs=("14.3",), hidden=True, hint="other sizes, and the gradient")
def test_block_of_other_sizes(student):
    for N, T, E, H in [(1, 1, 6, 3), (3, 4, 10, 1)]:
        model = student.Block(E, H)
        state = redrawn(model, seed=E)
        x = randn(N, T, E, seed=T).requires_grad_()
        expected = block(state, x, H)
        expect(model(x.detach()), expected.detach())
        (wanted,) = torch.autograd.grad(expected.sum(), x)
        (found,) = student.probe("gradients", model, x)
        expect(found, wanted, atol=1e-6)
        asked = []
        expect(model(x.detach(), stand_in_cache(asked)), expected.detach(), "with a cache")
        expect(asked, [T], "what the cache was given")


def logits_of(state, tokens, num_heads, start=0, context=64, mistake="", width=8, num_layers=2):
    """GPT from its weights; the first token is at position `start`."""
    (V, E), length = state["embedding.weight"].shape, 1 if mistake == "one block" else num_layers
    expect([E, *state["decoder.weight"].shape], [width, V, width], "the shapes of the weights")
    places = table(context, E)[start : start + tokens.shape[1]].float().double()
    x = state["embedding.weight"][tokens]
    x = x if mistake == "no positions" else x + places
    for number in range(length):
        x = block(part_of(state, f"layers.{number}."), x, num_heads)
    if mistake != "no norm":
        x = F.layer_norm(x, (E,), state["norm.weight"], state["norm.bias"])
    return F.linear(x, state["decoder.weight"], state["decoder.bias"])


@points(
    1,
    task="14.6",
    needs=("14.3", "14.4", "14.5"),
    forbidden=OF_TORCH,
    hint="embedding plus positions, all layers, norm, decoder",
)
def test_gpt_computes_its_logits(student):
    model = student.GPT(7, 8, 2, 2, 6)
    state = redrawn(model)
    tokens = torch.tensor([[3, 0, 6, 6, 1], [2, 5, 4, 0, 0]])
    wrong = {
        "leaving out the positions": "no positions",
        "leaving out the last norm": "no norm",
        "only one of the blocks": "one block",
    }
    wrong = {name: logits_of(state, tokens, 2, mistake=m) for name, m in wrong.items()}
    wrong["a softmax of the logits"] = logits_of(state, tokens, 2).softmax(-1)
    expect(model(tokens), logits_of(state, tokens, 2), "logits", mistakes=wrong, atol=1e-6)
    expect(model(tokens[:1, :1]), logits_of(state, tokens[:1, :1], 2), "logits of one", atol=1e-6)
    first, second = [], []
    caches = [stand_in_cache(first, 3), stand_in_cache(second, 3)]
    expect(
        model(tokens[:, 3:], caches),
        logits_of(state, tokens[:, 3:], 2, start=3),
        "logits of two tokens after three in the caches (these caches give back only the two)",
        mistakes={"positions that start again with 0": logits_of(state, tokens[:, 3:], 2)},
        atol=1e-6,
    )
    wrong = {"ignoring the caches": (0, 0), "one cache for all blocks": (2, 0)}
    asked = "how often the caches of the two blocks were given tokens"
    expect((len(first), len(second)), (1, 1), asked, mistakes=wrong)
    refused(model, tokens[:, :4], caches)
    student.probe("gradients", model, tokens)


@points(
    0.5,
    task="14.6",
    needs=("14.3", "14.4", "14.5"),
    hint="compare the end of the text with self.context, and the tokens with self.vocab_size",
)
def test_gpt_refuses_a_long_text_and_unknown_tokens(student):
    model = student.GPT(7, 8, 2, 1, 4)
    redrawn(model)
    expect(tuple(model(torch.zeros(1, 4).long()).shape), (1, 4, 7), "the shape for a full context")
    refused(model, torch.zeros(1, 5).long())
    refused(model, torch.tensor([[0, 7]]))
    refused(model, torch.tensor([[-1, 0]]))


@points(0.5, task="14.6", needs=("14.3", "14.4", "14.5"), hidden=True, hint="other sizes")
def test_gpt_of_other_sizes(student):
    for V, E, H, L, N, T in [(5, 6, 3, 1, 1, 9), (11, 12, 4, 3, 2, 4)]:
        model = student.GPT(V, E, H, L, T)
        state = redrawn(model, seed=V)
        leaves = [value.requires_grad_() for value in state.values()]
        tokens = torch.randint(V, (N, T), generator=torch.Generator().manual_seed(T))
        wanted = logits_of(state, tokens, H, width=E, num_layers=L)
        expect(tuple(wanted.shape), (N, T, V), "the shape of the logits")
        expect(model(tokens), wanted.detach(), atol=1e-6)
        slopes = student.probe("gradients", model, tokens)
        expect(slopes, list(torch.autograd.grad(wanted.sum(), leaves)), atol=1e-6)
        refused(model, torch.zeros(1, T + 1).long())
        for token in (V, -1):
            refused(model, torch.full((1, 1), token))
        asked = [[] for _ in range(L)]
        given = logits_of(state, tokens[:, 2:], H, start=2, width=E, num_layers=L).detach()
        got = model(tokens[:, 2:], [stand_in_cache(one, 2) for one in asked])
        expect(got, given, "logits after two tokens in the caches", atol=1e-6)
        expect([len(one) for one in asked], [1] * L, "how often each cache was given tokens")


@points(
    1, task="14.7", hint="divide the logits by the temperature, hide all but the top k, softmax"
)
def test_next_probabilities_by_hand(student):
    logits = torch.tensor([[0.0, 3.0, 1.0, 2.0], [1.0, -1.0, 0.5, 0.0]]).double()
    p = logits.softmax(-1)
    expect(student.next_probabilities(logits), p, "at temperature 1, of all tokens")
    wrong = {
        "multiplying by the temperature": (logits * 0.5).softmax(-1),
        "ignoring the temperature": p,
        "dividing the probabilities by the temperature": p / 0.5,
    }
    expected = (logits / 0.5).softmax(-1)
    expect(student.next_probabilities(logits, 0.5), expected, "at temperature 0.5", mistakes=wrong)
    keep = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 0]]).bool()
    expected = (logits / 2).masked_fill(~keep, -math.inf).softmax(-1)
    wrong = {
        "probabilities that do not add up to 1": (logits / 2).softmax(-1) * keep,
        "keeping the smallest logits": (logits / 2).masked_fill(keep, -math.inf).softmax(-1),
        "setting the other logits to 0": ((logits / 2) * keep).softmax(-1),
        "ignoring top_k": (logits / 2).softmax(-1),
        "ignoring the temperature with top_k": logits.masked_fill(~keep, -math.inf).softmax(-1),
        "the k largest of the first row for every row": (logits / 2)
        .masked_fill(~keep[:1], -math.inf)
        .softmax(-1),
    }
    got, left = student.probe("in_place", "next_probabilities", logits, 2.0, 2)
    expect(got, expected, "at temperature 2, of the 2 largest", mistakes=wrong)
    expect(left[0], logits, "the logits, which must not change")
    left = student.probe("in_place", "next_probabilities", logits, 2.0)[1]
    expect(left[0], logits, "the logits, which must not change")


@points(0.5, task="14.7", hint="raise ValueError before anything else")
def test_next_probabilities_refuse_impossible_settings(student):
    logits = torch.tensor([[0.0, 3.0, 1.0]]).double()
    for temperature in (0, -1.0):
        refused(student.next_probabilities, logits, temperature)
    for top_k in (0, 4, -1):
        refused(student.next_probabilities, logits, 1.0, top_k)
    first = torch.tensor([[0.0, 1.0, 0.0]]).double()
    expect(student.next_probabilities(logits, 1.0, 1), first, "of the largest alone")
    expect(student.next_probabilities(logits, 0.001, 3), first, "at temperature 0.001")


@points(0.5, task="14.7", hint="other sizes, temperatures and k", hidden=True)
def test_next_probabilities_of_other_logits(student):
    for N, V, temperature, top_k in [
        (1, 5, 0.3, 5),
        (4, 9, 1.7, 3),
        (2, 6, 1, None),
        (3, 4, 9.0, 1),
    ]:
        logits = 3 * randn(N, V, seed=V)
        kept = logits.sort(descending=True).values[:, : top_k or V]
        hidden = logits.masked_fill(logits < kept[:, -1:], -math.inf)
        expected = (hidden / temperature).softmax(-1)
        expect(student.next_probabilities(logits, temperature, top_k), expected)
        refused(student.next_probabilities, logits, temperature, V + 1)
        refused(student.next_probabilities, logits, -temperature)
        refused(student.next_probabilities, logits, 0.0)
        refused(student.next_probabilities, logits, temperature, 0)


@points(0.5, task="14.8", hint="store what you return; new tokens come after the old ones")
def test_cache_keeps_all_keys_and_values(student):
    cache = student.Cache()
    keys, values = randn(2, 3, 5, 4), randn(2, 3, 5, 4, seed=1)
    for end in (2, 3, 5):
        start = cache.num_tokens
        got = cache.extend(keys[:, :, start:end], values[:, :, start:end])
        wrong = {
            "only the new keys and values": (keys[:, :, start:end], values[:, :, start:end]),
            "adding the new tokens before the old ones": (
                torch.cat([keys[:, :, start:end], keys[:, :, :start]], 2),
                torch.cat([values[:, :, start:end], values[:, :, :start]], 2),
            ),
            "swapping keys and values": (values[:, :, :end], keys[:, :, :end]),
        }
        both = (keys[:, :, :end], values[:, :, :end])
        expect(got, both, ("keys", "values"), mistakes=wrong)
        expect(cache.num_tokens, end, "the number of tokens in the cache")
    expect(student.Cache().num_tokens, 0, "the number of tokens in a new cache")


@points(
    1,
    task="14.8",
    needs=("14.3", "14.5", "14.6"),
    hint="multi_head uses cache.extend, and GPT the positions after those in the cache",
)
def test_caches_give_the_same_logits_piece_by_piece(student):
    x = randn(2, 5, 6)
    w, layer = weights_for(6, seed=2)
    whole, cache = causal(layer(2), x)[0], student.Cache()
    for start, end in [(0, 3), (3, 4), (4, 5)]:
        got, _ = student.multi_head(x[:, start:end], *w, 2, cache)
        alone = causal(layer(2), x[:, start:end])[0]
        expect(got, whole[:, start:end], f"multi_head of the places {start} to {end} with a cache",
               mistakes={"ignoring the cache": alone})  # fmt: skip
    model = student.GPT(7, 8, 2, 2, 6)
    state = redrawn(model)
    tokens = torch.tensor([[3, 0, 6, 6, 1, 2]])
    whole, caches = logits_of(state, tokens, 2), [student.Cache(), student.Cache()]
    for start, end in [(0, 2), (2, 3), (3, 6)]:
        got = model(tokens[:, start:end], caches)
        alone = logits_of(state, tokens[:, start:end], 2)
        expect(got, whole[:, start:end], f"GPT of the places {start} to {end} with caches",
               mistakes={"ignoring the caches": alone}, atol=1e-6)  # fmt: skip
    refused(model, tokens[:, :1], caches)


class Recorder:
    """A model that always says the next number, and records what it was given."""

    def __init__(self, V=10, sure=50.0):
        self.V, self.sure, self.shapes, self.caches = V, sure, [], []

    def __call__(self, tokens, caches=None):
        self.shapes.append(tuple(tokens.shape))
        self.caches.append(caches)
        return self.sure * F.one_hot((tokens + 1) % self.V, self.V).double()


@points(
    1,
    task="14.8",
    hint="without caches the model reads the whole text, else the newest token",
    needs=("14.7",),
)
def test_generate_reads_what_it_must(student):
    prompt = torch.tensor([[2, 3, 4], [7, 8, 9]])
    expected = torch.tensor([[5, 6, 7, 8], [0, 1, 2, 3]])
    wrong = {"returning the prompt too": torch.cat([prompt, expected], 1)}
    wrong |= {"one token too few": expected[:, :3]}
    recorder = Recorder()
    # The model may be called with or without the argument caches.
    got = student.generate(lambda *args, **kwargs: recorder(*args, **kwargs), prompt, 4)
    expect(got, expected, "the new tokens", mistakes=wrong)
    read = [shape[1] for shape in recorder.shapes]
    expect(read, [3, 4, 5, 6], "the numbers of tokens that the model reads without a cache")
    recorder = Recorder()
    caches = [student.Cache()]
    got = student.generate(
        lambda *args, **kwargs: recorder(*args, **kwargs), prompt, 4, 1.0, None, None, caches
    )
    expect(got, expected, "the new tokens with a cache", mistakes=wrong)
    read = [shape[1] for shape in recorder.shapes]
    wrong = {"reading the whole text each time": [3, 4, 5, 6]}
    expect(read, [3, 1, 1, 1], "the numbers of tokens that the model reads with a cache",
           mistakes=wrong)  # fmt: skip
    assert all(given is not None for given in recorder.caches), "pass the caches to the model"
    for bad in (0, -2):
        refused(student.generate, Recorder().__call__, prompt, bad)
    refused(student.generate, Recorder().__call__, prompt[:, :0], 2)


@points(0.5, task="14.8", needs=("14.7",), hint="draw with temperature, top_k and the generator")
def test_generate_draws_from_next_probabilities(student):
    logits = torch.tensor([1.0, 3.0, 0.0, 2.5]).double()

    def model(tokens, caches=None):
        return logits.repeat(*tokens.shape, 1)

    def shares(*settings):
        generator = torch.Generator().manual_seed(1)
        got = student.generate(model, torch.zeros(2000, 1).long(), 1, *settings, generator)
        expect(tuple(got.shape), (2000, 1), "the shape of one new token for each of 2000 texts")
        return got.flatten().bincount(minlength=4).double() / 2000

    two = torch.tensor([-math.inf, 3.0, -math.inf, 2.5]).double()
    for settings, p in [
        ((1.0, None), logits.softmax(0)),
        ((3.0, None), (logits / 3).softmax(0)),
        ((1.0, 2), two.softmax(0)),
    ]:
        far = (shares(*settings) - p).abs().max().item()
        # The standard deviation of a share is at most 0.011.
        assert far < 0.05, f"with temperature and top_k {settings} the shares of the tokens are off"

    def drawn(seed):
        generator = torch.Generator().manual_seed(seed)
        return student.generate(model, torch.zeros(1, 1).long(), 20, 5.0, None, generator)

    assert drawn(3).equal(drawn(3)), "expected the same text from generators with the same seed"
    assert not drawn(3).equal(drawn(4)), "expected another text from another seed"


@points(
    1,
    task="14.8",
    needs=("14.3", "14.5", "14.6", "14.7"),
    hidden=True,
    hint="the same text with and without caches",
)
def test_cached_text_is_the_same(student):
    model = student.GPT(9, 8, 2, 2, 30)
    redrawn(model, seed=4)
    for N, T, settings in [(1, 1, (1.0, None)), (3, 5, (0.7, 4)), (2, 8, (1.0, 1))]:
        prompt = torch.randint(9, (N, T), generator=torch.Generator().manual_seed(T))

        def text(caches, prompt=prompt, settings=settings):
            generator = torch.Generator().manual_seed(7)
            return student.generate(model, prompt, 20, *settings, generator, caches)

        plain = text(None)
        expect(tuple(plain.shape), (N, 20), "shape")
        expect(text([student.Cache(), student.Cache()]), plain, "the text with caches")
        whole = model(torch.cat([prompt, plain], 1))[:, T - 1 : -1]
        if settings[1] == 1:
            expect(plain, whole.argmax(-1), "the most likely tokens")
    refused(student.generate, model, torch.zeros(1, 31).long(), 1)
    refused(student.generate, model, torch.zeros(1, 2).long(), 0)
    single = student.GPT(9, 8, 2, 1, 30)
    state, cache = redrawn(single, seed=5), [student.Cache()]
    tokens = torch.tensor([[3, 8, 0, 1]])
    pieces = [single(piece, cache) for piece in tokens.split(2, 1)]
    expect(torch.cat(pieces, 1), logits_of(state, tokens, 2, num_layers=1), atol=1e-6)
    fixed = torch.tensor([0.0, 2.0, 1.0]).double()
    got = student.generate(
        lambda tokens, caches=None: fixed.repeat(*tokens.shape, 1), torch.zeros(2000, 1).long(), 1,
        2.0, None, torch.Generator().manual_seed(2),
    )  # fmt: skip
    shares = torch.stack([(got == token).double().mean() for token in range(3)])
    expect(shares, (fixed / 2).softmax(0), "shares of the tokens", atol=0.05, rtol=0)
    recorder, caches = Recorder(6), [student.Cache()]
    got = student.generate(recorder.__call__, torch.tensor([[1]]), 7, 1.0, None, None, caches)
    expect(got, torch.tensor([[2, 3, 4, 5, 0, 1, 2]]))
    expect([shape[1] for shape in recorder.shapes], [1] * 7)
