"""Recurrent cells and models built on them, against torch's own and loops from the equations."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlcourse import data
from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.models.cells import (
    SCRN,
    ElmanCell,
    GRUCell,
    LSTMCell,
    Recurrent,
    SCRNCell,
    lstm_cell,
)
from dlcourse.models.feedforward_lm import FeedForwardLM
from dlcourse.models.recurrent_lm import RecurrentLM
from dlcourse.models.seq2seq import AdditiveAttention, Seq2Seq
from dlcourse.models.text_classifier import TextClassifier
from dlcourse.models.transformer_lm import TransformerLM, sinusoids
from dlcourse.train import evaluate, fit

CELLS = {
    ElmanCell: (nn.RNNCell, nn.RNN),
    LSTMCell: (nn.LSTMCell, nn.LSTM),
    GRUCell: (nn.GRUCell, nn.GRU),
}
LMS = {
    "elman": lambda V: RecurrentLM(V, 8, 12, "elman"),
    "lstm": lambda V: RecurrentLM(V, 8, 12, "lstm", num_layers=2),
    "tied": lambda V: RecurrentLM(V, hidden_size=12, cell="gru", tied=True),
    "scrn": lambda V: RecurrentLM(V, 8, 12, "scrn", context_size=5),
    "own cell": lambda V: RecurrentLM(V, 8, 12, LSTMCell),
    "feed-forward": lambda V: FeedForwardLM(V, 3, 8, 12, direct=True),
    "transformer": lambda V: TransformerLM(V, 16, 2, 2, context_size=20),
    "tied transformer": lambda V: TransformerLM(V, 16, 2, 1, context_size=20, tied=True),
}
# These read each batch from its beginning; the others carry a state to the next one.
STATELESS = {"transformer", "tied transformer"}


def gradients(output, tensors):
    # Weighted, so that no gradient is the same in every place.
    weights = torch.linspace(-1, 2, output.numel(), dtype=output.dtype).view_as(output)
    return torch.autograd.grad((output * weights).sum(), tensors)


def random_lm(kind, V=11, seed=0):
    torch.manual_seed(seed)
    return LMS[kind](V).double()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("N", [1, 2])
def test_cell_equals_torchs_with_its_gradients(cell, N):
    ours, theirs = cell(5, 7).double(), CELLS[cell][0](5, 7).double()
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(5, N, dtype=torch.float64).T.requires_grad_()
    h, c = torch.randn(2, N, 7, dtype=torch.float64).unbind()
    start = [h.requires_grad_(), c.requires_grad_()] if cell is LSTMCell else [h.requires_grad_()]
    state = tuple(start) if cell is LSTMCell else h
    output, _ = ours(inputs, state)
    expected = theirs(inputs, state)
    expected = expected[0] if cell is LSTMCell else expected
    torch.testing.assert_close(output, expected)
    found = gradients(output, [inputs, *start, *ours.parameters()])
    wanted = gradients(expected, [inputs, *start, *theirs.parameters()])
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("cell", CELLS)
def test_cell_along_a_sequence_equals_torchs_layer(cell):
    ours, theirs = Recurrent(cell(3, 4)).double(), CELLS[cell][1](3, 4, batch_first=True).double()
    with torch.no_grad():
        for name, parameter in ours.cell.named_parameters():
            getattr(theirs, f"{name}_l0").copy_(parameter)
    inputs = torch.randn(2, 6, 3, dtype=torch.float64)
    outputs, state = ours(inputs)
    expected, last = theirs(inputs)
    torch.testing.assert_close(outputs, expected)
    first = state[1] if cell is LSTMCell else state
    torch.testing.assert_close(first, (last[1] if cell is LSTMCell else last)[0])


def test_lstm_cell_starts_from_any_state_of_plain_tensors():
    N, D, H = 3, 5, 4
    w = [torch.randn(*s, dtype=torch.float64) for s in ((4 * H, D), (4 * H, H), (4 * H,), (4 * H,))]
    x, h, c = (torch.randn(N, k, dtype=torch.float64) for k in (D, H, H))
    expected = torch.lstm_cell(x, (h, c), *w)
    torch.testing.assert_close(lstm_cell(x, (h, c), *w), expected)


@pytest.mark.parametrize("N", [1, 2])
def test_scrn_equals_a_loop_written_from_its_equations(N):
    D, H, C, T, alpha = 3, 5, 2, 7, 0.9
    model = SCRN(D, H, C, alpha).double()
    A, B, P, R = (getattr(model, name).weight for name in "ABPR")
    inputs = torch.randn(N, T, D, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.randn(N, size, dtype=torch.float64) for size in (H, C))
    rows = []
    for n in range(N):
        h, s, outputs = state[0][n], state[1][n], []
        for t in range(T):
            s = (1 - alpha) * (B @ inputs[n, t]) + alpha * s
            h = 1 / (1 + torch.exp(-(P @ s + A @ inputs[n, t] + R @ h)))
            outputs.append(torch.cat([h, s]))
        rows.append(torch.stack(outputs))
    expected = torch.stack(rows)
    outputs, (h, s) = model(inputs, state)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(torch.cat([h, s], 1), expected[:, -1])
    tensors = [inputs, *model.parameters()]
    torch.testing.assert_close(gradients(outputs, tensors), gradients(expected, tensors))
    cell = SCRNCell(D, H, C, alpha).double()
    cell.load_state_dict(model.state_dict())
    torch.testing.assert_close(Recurrent(cell)(inputs, state)[0], expected)


@pytest.mark.parametrize("cell", CELLS)
def test_torchs_layer_and_the_readable_cell_give_one_language_model(cell):
    name = {ElmanCell: "elman", LSTMCell: "lstm", GRUCell: "gru"}[cell]
    slow, fast = RecurrentLM(9, 4, 6, cell), RecurrentLM(9, 4, 6, name)
    weights = {k.replace("cell.", ""): v for k, v in slow.state_dict().items()}
    fast.load_state_dict(
        {k: weights.get(k, weights.get(k.removesuffix("_l0"))) for k in fast.state_dict()}
    )
    inputs = torch.randint(9, (2, 5))
    torch.testing.assert_close(slow(inputs), fast(inputs))


@pytest.mark.parametrize("kind", [kind for kind in LMS if kind not in STATELESS])
@pytest.mark.parametrize("N", [1, 2])
def test_carried_state_equals_one_long_pass_and_is_cut_from_its_graph(kind, N):
    model = random_lm(kind)
    inputs = torch.randint(11, (N, 9))
    whole = model(inputs)
    assert whole.shape == (N, 9, 11)
    model.reset_state()
    first, rest = model(inputs[:, :4]), model(inputs[:, 4:])
    torch.testing.assert_close(torch.cat([first, rest], 1), whole)
    model.reset_state()
    torch.testing.assert_close(model(inputs), whole)
    first.sum().backward()
    rest.sum().backward()  # would fail, were the first graph part of it


@pytest.mark.parametrize("kind", LMS)
def test_language_model_looks_back_only(kind):
    model, inputs = random_lm(kind), torch.randint(11, (1, 8))
    changed = inputs.clone()
    changed[0, 5] = (changed[0, 5] + 1) % 11
    whole = model(inputs)
    model.reset_state()
    other = model(changed)
    assert torch.equal(whole[:, :5], other[:, :5])
    assert not torch.equal(whole[:, 5], other[:, 5])


@pytest.mark.parametrize("kind", LMS)
def test_language_model_overfits_and_is_the_same_after_save_and_load(kind, tmp_path):
    torch.manual_seed(0)
    model = LMS[kind](11)
    tokens = torch.randint(11, (2, 17))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for step in range(150):
        model.reset_state()
        loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            assert all(p.grad.isfinite().all() and p.grad.any() for p in model.parameters())
        optimizer.step()
        if loss < 0.2:
            break
    # Two continuations of one context cannot both be learned by a model of three tokens' context.
    assert loss < 0.2
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    again = LMS[kind](11)
    again.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    model.reset_state()
    assert torch.equal(again(tokens), model(tokens))


def test_feed_forward_equals_the_papers_formula_with_gradients():
    V, n, E, H = 7, 3, 4, 5
    model = FeedForwardLM(V, n, E, H, direct=True).double()
    inputs = torch.randint(V, (2, 6))
    rows = []
    for row in inputs.tolist():
        padded, logits = [V] * (n - 1) + row, []
        for t in range(len(row)):
            x = torch.cat([model.C.weight[token] for token in padded[t : t + n]])
            hidden = torch.tanh(model.H.bias + model.H.weight @ x)
            logits.append(model.U.bias + model.W.weight @ x + model.U.weight @ hidden)
        rows.append(torch.stack(logits))
    expected, tensors = torch.stack(rows), list(model.parameters())
    logits = model(inputs)
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(gradients(logits, tensors), gradients(expected, tensors))


def test_tied_weights_are_one_tensor_and_stay_so_after_load():
    model = RecurrentLM(11, hidden_size=6, tied=True)
    untied = RecurrentLM(11, hidden_size=6)
    counts = [sum(p.numel() for p in m.parameters()) for m in (model, untied)]
    assert counts[1] - counts[0] == 11 * 6
    again = RecurrentLM(11, hidden_size=6, tied=True)
    again.load_state_dict(model.state_dict())
    assert again.decoder.weight is again.embedding.weight


@pytest.mark.parametrize("kind", ["rnn", "feed-forward", "transformer"])
def test_dropout_acts_in_training_only(kind):
    model = {
        "rnn": lambda: RecurrentLM(11, 8, 12, dropout=0.5),
        "feed-forward": lambda: FeedForwardLM(11, dropout=0.5),
        "transformer": lambda: TransformerLM(11, 8, 2, 1, dropout=0.5),
    }[kind]()
    inputs = torch.randint(11, (2, 4))

    def twice():
        outputs = []
        for _ in range(2):
            model.reset_state()
            outputs.append(model(inputs))
        return outputs

    assert not torch.equal(*twice())
    model.eval()
    assert torch.equal(*twice())


def test_fit_starts_every_pass_with_a_fresh_state_and_learns_a_cycle():
    text = data.TextBatches(torch.arange(400) % 7, 4, 10, "a cycle", True)
    torch.manual_seed(0)
    model = RecurrentLM(7, 8, 12)
    history = fit(model, text, text, epochs=8, lr=0.02, device="cpu")
    assert history.epochs[-1]["val_loss"] < 0.1
    first = evaluate(model, text)
    assert evaluate(model, text) == first


def test_generate_continues_a_learned_cycle_in_words_and_in_numbers():
    torch.manual_seed(0)
    words = ["<unk>", "one", "two", "three"]
    vocabulary = data.Vocabulary(words)
    cycle = torch.tensor([1, 2, 3] * 40)
    model = RecurrentLM(4, 8, 8)
    batches = data.TextBatches(cycle, 2, 10, "a cycle", True)
    fit(model, batches, epochs=25, lr=0.03, device="cpu")
    model.train()
    model.reset_state()
    model(cycle[None, :5])
    carried = model.state
    assert model.generate(["one"], 4, vocabulary=vocabulary, temperature=0.1) == [
        "two", "three", "one", "two",
    ]  # fmt: skip
    assert model.generate(torch.tensor([2, 3]), 2, temperature=0).tolist() == [1, 2]
    assert model.training
    assert model.state is carried


def test_generate_draws_as_temperature_and_top_k_say():
    model = RecurrentLM(5, 3, 4, "elman").eval()
    bias = torch.tensor([2.0, 1.0, 0.0, -1.0, -9.0])
    with torch.no_grad():
        model.decoder.weight.zero_()
        model.decoder.bias.copy_(bias)

    def shares(**settings):
        generator = torch.Generator().manual_seed(0)
        drawn = model.generate(torch.tensor([0]), 800, generator=generator, **settings)
        return drawn.bincount(minlength=5) / 800

    torch.testing.assert_close(shares(), bias.softmax(0), atol=0.05, rtol=0)
    torch.testing.assert_close(shares(temperature=2.0), (bias / 2).softmax(0), atol=0.05, rtol=0)
    kept = torch.cat([bias[:2].softmax(0), torch.zeros(3)])
    torch.testing.assert_close(shares(top_k=2), kept, atol=0.05, rtol=0)
    safe, bold = shares(temperature=0.5), shares(temperature=2.0)
    torch.testing.assert_close(safe, (bias / 0.5).softmax(0), atol=0.05, rtol=0)
    assert safe.max() > shares().max() > bold.max()  # below 1 is safer, above 1 bolder
    assert shares(temperature=0)[0] == 1
    assert shares(top_k=1)[0] == 1
    assert shares(temperature=1e-30)[0] == 1
    assert torch.equal(shares(), shares())


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"prompt": "o?!"}, UsageError, "prompt holds '?', '!', not in the vocabulary of 3"),
        ({"prompt": ""}, UsageError, "prompt must be token numbers, int64 (T,), T at least 1"),
        ({"prompt": torch.tensor([3])}, UsageError, "numbers from 0 to 2, got 3 to 3"),
        ({"prompt": torch.tensor([0.5])}, UsageError, "got torch.float32 (1,)"),
        ({"prompt": "on", "vocabulary": None}, UsageError, "for words give the vocabulary too"),
        ({"length": 0}, UsageError, "length must be at least 1, got 0"),
        ({"temperature": -1}, UsageError, "temperature must be at least 0, got -1"),
        ({"temperature": math.nan}, UsageError, "temperature must be at least 0, got nan"),
        ({"temperature": math.inf}, UsageError, "temperature must be at least 0, got inf"),
        ({"length": 2.5}, UsageError, "length must be a whole number, at least 1, got 2.5"),
        ({"top_k": 1.5}, UsageError, "top_k must be 1 to 3, got 1.5"),
        (
            {"vocabulary": data.Vocabulary(["<unk>", "o", "n", "x"])},
            UsageError,
            "the vocabulary has 4 tokens, but the model 3; give the one",
        ),
        ({"top_k": 0}, UsageError, "top_k must be 1 to 3, got 0"),
        ({"top_k": 4}, UsageError, "top_k must be 1 to 3, got 4"),
    ],
)
def test_generate_refuses_in_one_line(settings, error, message):
    model = RecurrentLM(3, 2, 2)
    vocabulary = data.Vocabulary(["<unk>", "o", "n"])
    with pytest.raises(error) as caught:
        model.generate(**{"prompt": "on", "length": 3, "vocabulary": vocabulary} | settings)
    assert message in str(caught.value)


@pytest.mark.parametrize("N", [1, 2])
def test_transformer_equals_torchs_encoder_with_its_gradients(N):
    V, E, H, T = 11, 12, 3, 7
    model = TransformerLM(V, E, H, 2, context_size=9).double()
    layer = nn.TransformerEncoderLayer(
        E, H, 4 * E, 0.0, "gelu", batch_first=True, norm_first=True, dtype=torch.float64
    )
    encoder = nn.TransformerEncoder(
        layer, 2, nn.LayerNorm(E, dtype=torch.float64), enable_nested_tensor=False
    )
    weights = model.state_dict()
    encoder.load_state_dict({name: weights[name] for name in encoder.state_dict()})
    inputs = torch.randint(V, (N, T))
    places = torch.tensor(
        [[math.sin(t / 10_000 ** (i / E)) if i % 2 == 0 else math.cos(t / 10_000 ** ((i - 1) / E))
          for i in range(E)] for t in range(T)]
    )  # fmt: skip
    embedded = model.embedding(inputs) + places.double()
    mask = nn.Transformer.generate_square_subsequent_mask(T, dtype=torch.float64)
    expected = model.decoder(encoder(embedded, mask, is_causal=True))
    logits = model(inputs)
    torch.testing.assert_close(logits, expected, atol=1e-6, rtol=1e-6)  # places are float32
    own = dict(model.named_parameters())
    names = [name for name, _ in encoder.named_parameters()]
    found = gradients(logits, [own[name] for name in names])
    wanted = gradients(expected, list(encoder.parameters()))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_sinusoids_of_an_odd_width_end_with_a_sine():
    wide, narrow = sinusoids(5, 4), sinusoids(5, 3)
    assert narrow.shape == (5, 3)
    torch.testing.assert_close(wide[2], torch.tensor([2.0, 2, 0.02, 0.02]).sin().where(
        torch.tensor([True, False, True, False]), torch.tensor([2.0, 2, 0.02, 0.02]).cos()
    ))  # fmt: skip
    torch.testing.assert_close(narrow[:, 2], (torch.arange(5) / 10_000 ** (2 / 3)).sin())


@pytest.mark.parametrize("cuts", [(1,) * 9, (4, 1, 1, 3), (2, 7)])
def test_transformer_reads_a_text_in_pieces_as_at_once(cuts):
    model, inputs = random_lm("transformer"), torch.randint(11, (2, 9))
    state, pieces = None, []
    for piece in inputs.split(cuts, 1):
        logits, state = model.advance(piece, state)
        pieces.append(logits)
    torch.testing.assert_close(torch.cat(pieces, 1), model(inputs))
    torch.testing.assert_close(model(inputs), model(inputs))  # nothing is carried over
    assert model.state is None


def test_transformer_generates_beyond_its_context_from_the_last_half_of_the_text():
    model = random_lm("transformer").eval()  # a context of 20
    text = torch.randint(11, (3,)).tolist()
    prompt = torch.tensor(text)
    start = 0
    for _ in range(40):
        if len(text) - start > 20:
            start = len(text) - 10
        text.append(model(torch.tensor([text[start:]]))[0, -1].argmax().item())
    assert model.generate(prompt, 40, temperature=0).tolist() == text[3:]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda m: m(torch.zeros(1, 21).long()), "a text of 21 tokens is longer than the co"),
        (
            lambda m: m.generate(torch.zeros(21).long(), 1),
            "of 21 tokens is longer than the context",
        ),
        (
            lambda m: m(torch.full((1, 2), 11)),
            "must hold token numbers from 0 to 10, got 11",
        ),
        (lambda m: m.generate(torch.zeros(2).long(), 0), "length must be at least 1, got 0"),
        (lambda m: TransformerLM(11, 10, 4), "num_heads must divide embedding_dim 10, got 4; "),
        (lambda m: TransformerLM(11, context_size=0), "context_size must be at least 1, got 0"),
    ],
)
def test_transformer_refuses_in_one_line(act, message):
    with pytest.raises(UsageError) as caught:
        act(random_lm("transformer"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fit_trains_a_transformer_and_generate_goes_on_with_what_it_learned():
    text = data.TextBatches(torch.arange(400) % 7, 4, 10, "a cycle", True)
    torch.manual_seed(0)
    model = TransformerLM(7, 16, 2, 1, context_size=10)
    history = fit(model, text, text, epochs=6, lr=0.01, device="cpu")
    assert history.epochs[-1]["val_loss"] < 0.5
    assert model.generate(torch.tensor([3, 4]), 12, temperature=0).tolist() == [
        5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1, 2,
    ]  # fmt: skip


def test_classifier_ignores_padding_and_reads_the_whole_text():
    model = TextClassifier(9, 3, 4, 5, bidirectional=True, padding=0).double()
    text = torch.tensor([[3, 1, 4, 1, 5]])
    padded = torch.tensor([[3, 1, 4, 1, 5, 0, 0], [2, 7, 0, 0, 0, 0, 0]])
    torch.testing.assert_close(model(padded)[:1], model(text))
    changed = text.clone()
    changed[0, 0] = 8
    assert not torch.allclose(model(changed), model(text))


def test_classifier_equals_the_readable_cell_along_the_text():
    model = TextClassifier(9, 2, 4, 5).double()
    cell = LSTMCell(4, 5).double()
    cell.load_state_dict(
        {k.removesuffix("_l0"): v for k, v in model.recurrent.state_dict().items()}
    )
    inputs, state = torch.randint(9, (2, 6)), None
    for token in inputs.unbind(1):
        h, state = cell(model.embedding(token), state)
    torch.testing.assert_close(model(inputs), model.fc(h))


@pytest.mark.parametrize("cell", ["elman", "lstm", "gru"])
def test_classifier_overfits_32_texts_and_survives_save_and_load(cell, tmp_path):
    torch.manual_seed(0)
    model = TextClassifier(20, 4, 16, 32, cell)
    inputs, targets = torch.randint(20, (32, 7)), torch.arange(32) % 4
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(60):
        loss = F.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            assert all(p.grad.isfinite().all() and p.grad.any() for p in model.parameters())
        optimizer.step()
    assert loss < 0.1
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    again = TextClassifier(20, 4, 16, 32, cell)
    again.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(again(inputs), model(inputs))


def test_additive_attention_equals_the_sums_of_the_paper():
    N, S, H, M, A = 2, 4, 3, 5, 6
    attention = AdditiveAttention(H, M, A).double()
    state = torch.randn(N, H, dtype=torch.float64, requires_grad=True)
    memory = torch.randn(N, S, M, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    contexts, alignments = [], []
    for n in range(N):
        length = int(mask[n].sum())
        scores = torch.stack(
            [
                attention.v.weight[0]
                @ torch.tanh(attention.W.weight @ state[n] + attention.U.weight @ memory[n, j])
                for j in range(length)
            ]
        )
        weights = scores.exp() / scores.exp().sum()
        contexts.append(sum(weights[j] * memory[n, j] for j in range(length)))
        alignments.append(F.pad(weights, (0, S - length)))
    context, weights = attention(state, memory, mask)
    torch.testing.assert_close(context, torch.stack(contexts))
    torch.testing.assert_close(weights, torch.stack(alignments))
    tensors = [state, memory, *attention.parameters()]
    torch.testing.assert_close(
        gradients(context, tensors), gradients(torch.stack(contexts), tensors)
    )


@pytest.mark.parametrize("attention", [True, False])
def test_seq2seq_is_blind_to_padding_and_to_targets_to_come(attention):
    model = Seq2Seq(9, 8, 4, 5, attention=attention, padding=0).double()
    sources, targets = torch.tensor([[3, 1, 4]]), torch.tensor([[5, 2, 7, 1]])
    padded = torch.tensor([[3, 1, 4, 0, 0], [2, 2, 2, 2, 2]])
    logits = model(sources, targets)
    assert logits.shape == (1, 4, 8)
    torch.testing.assert_close(model(padded, targets.expand(2, 4))[:1], logits)
    sums = model.alignment.sum(2)
    torch.testing.assert_close(sums, torch.ones_like(sums))
    changed = targets.clone()
    changed[0, 2] = 3
    torch.testing.assert_close(model(sources, changed)[:, :3], logits[:, :3])


@pytest.mark.parametrize("attention", [True, False])
def test_seq2seq_learns_to_reverse_and_to_stop(attention, tmp_path):
    torch.manual_seed(0)
    model = Seq2Seq(7, 7, 16, 32, attention=attention, start=0, end=1, padding=0)
    sources = torch.randint(2, 7, (16, 4))
    targets = torch.cat([sources.flip(1), torch.ones(16, 1, dtype=torch.int64)], 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(80):
        loss = F.cross_entropy(model(sources, targets).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            assert all(p.grad.isfinite().all() and p.grad.any() for p in model.parameters())
        optimizer.step()
    assert torch.equal(model.translate(sources, 10), targets)
    assert model.translate(sources[:1], 2).shape == (1, 2)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    again = Seq2Seq(7, 7, 16, 32, attention=attention, padding=0)
    again.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(again(sources, targets), model(sources, targets))


TWO_ROWS = torch.zeros(2, 3, dtype=torch.int64)


def another_batch_size():
    model = RecurrentLM(5)
    model(TWO_ROWS)
    model(TWO_ROWS[:1])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: LSTMCell(0, 3), UsageError, "input_size must be at least 1, got 0"),
        (lambda: SCRN(3, 3, -1), UsageError, "context_size must be at least 1, got -1"),
        (lambda: SCRN(3, 3, alpha=1.0), UsageError, "alpha must be at least 0 and below 1"),
        (lambda: RecurrentLM(0), UsageError, "vocab_size must be at least 1, got 0"),
        (lambda: RecurrentLM(5, hidden_size=0), UsageError, "hidden_size must be at least 1"),
        (lambda: RecurrentLM(5, 0), UsageError, "embedding_dim must be at least 1, got 0"),
        (lambda: RecurrentLM(5, cell="lstn"), UnknownNameError, "did you mean 'lstm'?"),
        (lambda: RecurrentLM(5, dropout=1.0), UsageError, "dropout must be at least 0 and below 1"),
        (lambda: RecurrentLM(5, cell="scrn", num_layers=2), UsageError, "must be 1 for this cell"),
        (lambda: RecurrentLM(5, 8, 9, tied=True), UsageError, "need embedding_dim 9, the width"),
        (lambda: RecurrentLM(5)(torch.zeros(2, 3)), UsageError, "int64 (N, T), T at least 1, got"),
        (lambda: RecurrentLM(5)(TWO_ROWS + 5), UsageError, "numbers from 0 to 4, got 5 to 5"),
        (lambda: RecurrentLM(5)(TWO_ROWS[:, :0]), UsageError, "got torch.int64 (2, 0)"),
        (another_batch_size, UsageError, "inputs have 1 rows, but the carried state has 2; call"),
        (lambda: FeedForwardLM(5, 0), UsageError, "context_size must be at least 1, got 0"),
        (lambda: FeedForwardLM(5, dropout=-1), UsageError, "dropout must be at least 0"),
        (lambda: TextClassifier(5, cell="scrn"), UnknownNameError, "unknown cell 'scrn'"),
        (lambda: TextClassifier(5, padding=0)(TWO_ROWS), UsageError, "row 0 of the texts holds"),
        (lambda: TextClassifier(5, dropout=2), UsageError, "dropout must be at least 0 and below"),
        (lambda: Seq2Seq(5, 5, end=5), UsageError, "end must be 0 to 4, got 5"),
        (lambda: Seq2Seq(5, 5)(TWO_ROWS, TWO_ROWS[:1]), UsageError, "2 sources do not go with 1"),
        (lambda: Seq2Seq(5, 5)(TWO_ROWS, TWO_ROWS + 9), UsageError, "targets must hold token"),
        (lambda: Seq2Seq(5, 5).translate(TWO_ROWS, 0), UsageError, "max_length must be at least 1"),
    ],
)
def test_impossible_settings_and_inputs_are_refused_in_one_line(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.cuda
@pytest.mark.parametrize("kind", LMS)
def test_language_model_gives_the_same_on_cuda(kind):
    model, inputs = LMS[kind](11), torch.randint(11, (2, 5))
    expected = model(inputs)
    model.reset_state()
    torch.testing.assert_close(model.cuda()(inputs.cuda()).cpu(), expected, atol=1e-4, rtol=1e-4)
    assert len(model.generate(torch.tensor([1]), 3)) == 3


def test_perplexity_of_an_untrained_model_is_near_the_size_of_the_vocabulary():
    model = RecurrentLM(50, 8, 8)
    batches = data.TextBatches(torch.randint(50, (500,)), 4, 10, "noise", True)
    assert math.exp(evaluate(model, batches)["loss"]) == pytest.approx(50, rel=0.1)
