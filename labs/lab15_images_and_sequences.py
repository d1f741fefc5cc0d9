# %% [markdown]
"""Lab 15: images and sequences.

Does a network that captions images compose sentences, or does it look for a similar image?

You write the score of a caption that has several right answers, the caption of the nearest
neighbor, and a decoder that reads the features of a CNN, once at the start or again at each word.
The same idea works on frames: a convolutional LSTM that predicts the next frame of a film, and
then the frames after it, from its own predictions.

Lecture sections: Image captioning; Nearest neighbor for captioning; Frame prediction in videos.

    dlcourse check lab15              check your answers (takes seconds)
    dlcourse check lab15 --task 15.3  check one task
    dlcourse run lab15 --tiny         run the whole experiment on few images (takes seconds)
    dlcourse run lab15                run the whole experiment (minutes on a laptop)

A recorded run of the solution (`dlcourse run lab15`, real MNIST, 2 cores):

    data: 8,000 images of 1,000 scenes, drawn, with their captions
    the first one: a striped purple cross left of a small striped white cross

    exactly right, in percent    known scenes     new scenes     new things
    nearest neighbor               99.5 ± 0.2      0.0 ± 0.0      0.0 ± 0.0
    consensus of 5                 99.4 ± 0.1      0.0 ± 0.0      0.0 ± 0.0
    decoder, at the start           8.3 ± 3.9      3.1 ± 2.5      0.0 ± 0.0
    decoder, at each word          81.8 ± 4.2     39.2 ± 1.6      0.2 ± 0.2

    BLEU                         known scenes     new scenes     new things
    nearest neighbor               99.9 ± 0.0     68.0 ± 0.8     59.0 ± 0.7
    consensus of 5                 99.9 ± 0.0     68.6 ± 0.7     59.6 ± 0.5
    decoder, at the start          60.9 ± 3.9     54.7 ± 4.9     48.4 ± 2.4
    decoder, at each word          94.5 ± 1.6     79.3 ± 1.4     64.0 ± 1.7

    the decoder that is told the image at each word, on known scenes
    BLEU with one reference instead of two         78.9 ± 1.2
    captions that are a caption of the training    85.6 ± 4.8 %

    data: MNIST from datasets/MNIST/raw; 1,000 films of a digit

    squared error, frames ahead            1           2           3           4           5
    black frame                   19.0 ± 0.6  19.0 ± 0.6  19.0 ± 0.6  19.0 ± 0.6  19.0 ± 0.6
    copy of the last frame        20.7 ± 0.3  27.7 ± 0.7  31.1 ± 0.5  33.0 ± 0.5  34.3 ± 0.6
    prediction                     4.9 ± 0.2   8.5 ± 0.2  11.2 ± 0.1  13.3 ± 0.2  15.0 ± 0.4

    the next frame, after seeing           1           2           3           4           5
    prediction                    11.5 ± 0.4   7.1 ± 0.5   6.2 ± 0.2   5.6 ± 0.2   4.9 ± 0.2
    figures: results/lab15

Over 3 seeds (mean, standard deviation, how many seeds agree):

    nearest neighbor, new scenes: exactly right                      0 = 0               exact
    known scenes, right: nearest neighbor, decoder          99.5 (0.2) > 81.8 (4.2)      3 of 3
    new scenes, right: decoder, nearest neighbor            39.2 (1.6) > 0.0             3 of 3
    BLEU, new scenes: decoder, nearest neighbor             79.3 (1.4) > 68.0 (0.8)      3 of 3
    BLEU, new scenes: the gain, the spread                  11.3 (1.2) > 1.4             3 of 3
    BLEU, new things: decoder, nearest neighbor             64.0 (1.7) > 59.0 (0.7)      3 of 3
    BLEU, new things: the gain, the spread                   5.0 (1.7) > 1.7             3 of 3
    BLEU, new scenes: told at each word, at the start       79.3 (1.4) > 54.7 (4.9)      3 of 3
    BLEU, known scenes: two references, one                 94.5 (1.6) > 78.9 (1.2)      3 of 3
    1 ahead: prediction, copy                                4.9 (0.2) < 20.7 (0.3)      3 of 3
    2 ahead: prediction, copy                                8.5 (0.2) < 27.7 (0.7)      3 of 3
    3 ahead: prediction, copy                               11.2 (0.1) < 31.1 (0.5)      3 of 3
    4 ahead: prediction, copy                               13.3 (0.2) < 33.0 (0.5)      3 of 3
    5 ahead: prediction, copy                               15.0 (0.4) < 34.3 (0.6)      3 of 3
    next frame: after 5 frames, after 1                      4.9 (0.2) < 11.5 (0.4)      3 of 3
    "the", seven times: matches of the cat on the mat                2 = 2               exact
    BLEU of a caption that is right                                100 = 100             exact
    neighbor of (0, 3): (0, 1), not (9, 9)                           1 = 1               exact
    decoder: weights without a gradient                              0 = 0               exact
    written words that are not the likeliest ones                    0 = 0               exact
    maps of one pixel: difference to nn.LSTMCell              5.96e-08 < 1e-05           exact
    the last frame: forward and rollout differ by                    0 < 1e-05           exact
    2 ahead, or 1 after that prediction: difference                  0 < 1e-05           exact
    copies: difference to the last frame                             0 = 0               exact
    error of white for black, 16 pixels                             16 = 16              exact
The figures in results/lab15:

    captions: Two known scenes, two new ones, and two with new things, with the caption of the
      nearest neighbor and that of the decoder.
    films: Three films of a digit, of which the network sees five frames; its predictions of the
      next five, and copies of the last frame. The same moves in films.gif.
    horizon: Squared error of a frame by how far ahead it is predicted.
"""

# %%
from __future__ import annotations

import functools
import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse import data, lab, plots
from dlcourse.errors import UnknownNameError, UsageError

# %% [markdown]
# ## 1. A score for captions
# An image has more than one right caption: a circle above a square is a square below a circle.
# BLEU (Papineni et al. 2002) compares a caption with all of its references. You know it from lab 09
# for one reference; with several, two things change:
#
#     p_n  = clipped matches of all captions / n-grams of all captions,   n = 1, ..., 4
#     BP   = 1 if c > r, else exp(1 - r / c)
#     BLEU = 100 BP (p_1 p_2 p_3 p_4) ^ (1/4)
#
# Each n-gram has a limit: how often it occurs in the reference that contains it most often. Further
# matches do not count. c is the number of words of all captions. r adds up, over the captions, the
# length of the reference that is nearest in length to the caption.

# %%
Words = Sequence[str]


def clipped_matches(caption: Words, references: Sequence[Words], n: int) -> int:
    """Return how many n-grams of the caption are in its references.

    Each n-gram has a limit: how often it occurs in the reference that contains it most often. If
    the caption contains it more often, the rest does not count.

    >>> clipped_matches("a a b c".split(), ["a b a".split(), "b b c".split()], 1)  # 2 + 1 + 1
    4
    >>> clipped_matches("a a b c".split(), ["a b a".split(), "b b c".split()], 2)  # a b, b c
    2
    """
    # Task 15.1 (3 points). For a hint: dlcourse hint 15.1
    raise NotImplementedError("task 15.1: clipped_matches")


def bleu(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> float:
    """Return the BLEU of captions, from 0 to 100. references: those of each caption, at least one.

    Of two references that are equally near in length, the shorter one counts for r. BLEU is 0 if
    one of the four p_n is 0, or has no n-grams at all. Raise ValueError if there are not as many
    captions as lists of references, or none, or if a list is empty.

    >>> bleu(["a b c d".split()], [["a b c d e f g".split(), "d e f c b".split()]])  # c 4, r 5
    77.8800783071405
    """
    # Task 15.1, continued.
    raise NotImplementedError("task 15.1: bleu")


# %% [markdown]
# ## 2. The caption of the nearest neighbor
# The simplest way to caption an image: look for the training image that is most similar, and take
# its caption. Similar means that the features of a CNN have a small angle. Devlin et al. (2015)
# look for several neighbors, and take the caption that agrees most with the other neighbors'
# captions. This was as good as the networks of that time.


# %%
def nearest(features: Tensor, known: Tensor, count: int = 1) -> Tensor:
    """Return the places of the `count` rows of `known` that are most similar to each row.

    The similarity is the cosine of the angle between two rows; of a row of zeros it is 0. The most
    similar row comes first. Raise ValueError if count is below 1 or more than there are.
    Shape: features (N, D), known (M, D) -> int64 (N, count).

    >>> known = torch.tensor([[9.0, 9.0], [0.0, 1.0], [-5.0, 1.0]])
    >>> nearest(torch.tensor([[0.0, 3.0], [2.0, 1.0]]), known, 2)
    tensor([[1, 0],
            [0, 1]])
    """
    # Task 15.2 (3 points). For a hint: dlcourse hint 15.2
    raise NotImplementedError("task 15.2: nearest")


def consensus(captions: Sequence[Words], similarity: Callable[[Words, Words], float]) -> int:
    """Return the place of the caption that agrees most with the others.

    This is the caption whose sum of similarity(caption, other) over all others is largest; of
    several, the first. No caption is compared with itself, but one that occurs twice is compared
    with its copy.
    Raise ValueError if there is no caption.

    >>> captions = ["a red circle".split(), "a blue square".split(), "a red square".split()]
    >>> consensus(captions, lambda one, other: len({*one} & {*other}))  # 3, 3 and 4
    2
    """
    # Task 15.2, continued.
    raise NotImplementedError("task 15.2: consensus")


# %% [markdown]
# ## 3. A decoder that reads the features of an image
# The decoder is a language model (lab 08) that also knows the image. It can be told the image at
# two places: at the start, as the first state of the recurrent network, which must then remember
# the image until the last word; or at each word, next to the embedding of the word before.


# %%
class CaptionDecoder(nn.Module):
    """A GRU that writes a caption of an image, from the image's features.

    end: the number of `<eos>`. It ends a caption and stands for the word before the first one.
    at_each_word: whether the GRU is told the image at each word, or only at the start.

    >>> decoder = CaptionDecoder(3, 5, end=0, at_each_word=False, size=4)
    >>> code, state = decoder.begin(torch.ones(2, 3))
    >>> state.shape
    torch.Size([1, 2, 4])
    >>> decoder(torch.ones(2, 3), torch.tensor([[4, 2, 0], [1, 1, 0]])).shape
    torch.Size([2, 3, 5])
    """

    def __init__(
        self, feature_size: int, vocab_size: int, end: int, at_each_word: bool, size: int = 128
    ) -> None:
        super().__init__()
        self.end, self.at_each_word = end, at_each_word
        self.image = nn.Linear(feature_size, size)
        self.embedding = nn.Embedding(vocab_size, size)
        self.gru = nn.GRU(2 * size if at_each_word else size, size, batch_first=True)
        self.fc = nn.Linear(size, vocab_size)

    def begin(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the code of each image, and the first state of the GRU.

        The code is tanh(self.image(features)). The state is the code if the GRU is told the image
        at the start, and 0 if it is told the image at each word.
        Raise ValueError unless features have the shape (N, feature_size).
        Shape: features (N, feature_size) -> (N, H), (1, N, H).
        """
        # Task 15.3 (3 points). For a hint: dlcourse hint 15.3
        raise NotImplementedError("task 15.3: CaptionDecoder.begin")

    def predict(self, before: Tensor, code: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of the word after each word in `before`, and the state after the last.

        The GRU reads the embedding of each word; if it is told the image at each word, it reads
        the embedding and behind it the code.
        Shape: before int64 (N, T), code (N, H), state (1, N, H) -> (N, T, vocab_size), (1, N, H).
        """
        # Task 15.3, continued.
        raise NotImplementedError("task 15.3: CaptionDecoder.predict")

    def forward(self, features: Tensor, captions: Tensor) -> Tensor:
        """Return the logits of each word of the captions, after the right words before it.

        Shape: features (N, feature_size), captions int64 (N, T) -> (N, T, vocab_size).
        """
        # Task 15.3, continued.
        raise NotImplementedError("task 15.3: CaptionDecoder.forward")


# %% [markdown]
# ## 4. Write
# Now the right words are not known: the decoder reads the word that it has just written. All images
# of a batch are captioned together, and their captions end at different words.


# %%
def write(decoder: CaptionDecoder, features: Tensor, max_words: int = 20) -> list[list[int]]:
    """Return a caption of each image; each word is the most probable one after those before it.

    A caption holds the numbers of its words before the first `decoder.end`, at most `max_words`.
    Raise ValueError if max_words is below 1.
    Shape: features (N, feature_size) -> N lists.

    >>> decoder = CaptionDecoder(3, 5, end=0, at_each_word=True)
    >>> zeros = {name: 0 * value for name, value in decoder.state_dict().items()}
    >>> _ = decoder.load_state_dict({**zeros, "fc.bias": torch.tensor([0.0, 0, 0, 1, 0])})
    >>> write(decoder, torch.ones(2, 3), max_words=2)  # the most probable word is always 3
    [[3, 3], [3, 3]]
    """
    # Task 15.4 (2 points). For a hint: dlcourse hint 15.4
    raise NotImplementedError("task 15.4: write")


# %% [markdown]
# ## 5. An LSTM whose states are maps
# A film is a sequence, too, and a frame is what comes next. A network that predicts frames must
# remember where things are, so the state of a convolutional LSTM (Shi et al. 2015) is a stack of
# maps, and a convolution takes the place of the matrices:
#
#     i, f, g, o = the four parts of conv([x, h]), a quarter of the channels each, in this order
#     c' = sigmoid(f) c + sigmoid(i) tanh(g)
#     h' = sigmoid(o) tanh(c')

# %%
State = tuple[Tensor, Tensor]  # h and c, (N, D, H, W) each


def conv_lstm_step(x: Tensor, state: State, weight: Tensor, bias: Tensor) -> State:
    """One step of a convolutional LSTM; return the next (h, c).

    The convolution reads x and h, concatenated along the channels in this order. It has stride 1
    and pads with zeros, so that height and width stay the same. K is odd.
    Shape: x (N, C, H, W), h and c (N, D, H, W), weight (4 D, C + D, K, K), bias (4 D,)
    -> (N, D, H, W), (N, D, H, W).

    >>> weight = torch.zeros(4, 2, 1, 1)
    >>> bias = torch.tensor([0.0, 0.0, 9.0, 9.0])  # i and f are 0.5, tanh(g) and o almost 1
    >>> ones = torch.ones(1, 1, 1, 1)
    >>> h, c = conv_lstm_step(ones, (ones, 3 * ones), weight, bias)
    >>> round(c.item(), 3), round(h.item(), 3)  # 0.5 * 3 + 0.5 * 1, tanh(2)
    (2.0, 0.964)
    """
    # Task 15.5 (2 points). For a hint: dlcourse hint 15.5
    raise NotImplementedError("task 15.5: conv_lstm_step")


# %% [markdown]
# ## 6. Predict the next frame
# The network reads a frame in patches of 4x4 pixels and remembers in its state what it saw before.
# It does not draw the next frame; it says where each pixel of it comes from: which of the 5x5
# pixels around the same place in the frame before (Finn, Goodfellow & Levine 2016). It is trained
# like a language model, with teacher forcing: after each frame that it reads, it predicts the one
# that follows.


# %%
class FramePredictor(nn.Module):
    """A convolutional LSTM that predicts the next frame of a gray film.

    patch: the sides of a frame are multiples of it. size: the number of maps in the state. reach:
    how many pixels something can move from frame to frame.
    """

    def __init__(
        self, size: int = 24, patch: int = 4, kernel_size: int = 3, reach: int = 2
    ) -> None:
        super().__init__()
        self.size, self.patch, self.side = size, patch, 2 * reach + 1
        self.conv = nn.Conv2d(patch**2 + size, 4 * size, kernel_size)
        self.out = nn.Conv2d(size, self.side**2, 3, padding=1)

    def begin(self, frames: Tensor) -> State:
        """Return a state of zeros for films (N, T, 1, H, W); it is complete.

        Raises UsageError for films of another shape.
        """
        shape = tuple(frames.shape)
        if len(shape) != 5 or shape[2] != 1 or any(side % self.patch for side in shape[3:]):
            raise UsageError(
                f"frames must have the shape (N, T, 1, H, W), H and W multiples of {self.patch}, "
                f"got {shape}"
            )
        zeros = frames.new_zeros(
            shape[0], self.size, shape[3] // self.patch, shape[4] // self.patch
        )
        return zeros, zeros

    def step(self, frame: Tensor, state: State) -> tuple[Tensor, State]:
        """Read a frame; return the prediction of the next one, and the next state. It is complete.

        Shape: frame (N, 1, H, W) in [0, 1], state -> (N, 1, H, W) in [0, 1], state.
        """
        patches = F.pixel_unshuffle(frame, self.patch)  # (N, patch^2, H / patch, W / patch)
        assert self.conv.bias is not None
        state = conv_lstm_step(patches, state, self.conv.weight, self.conv.bias)
        # How probable it is that the pixels of a patch come from each of the places around them.
        shares = F.interpolate(self.out(state[0]).softmax(1), scale_factor=self.patch)
        around = F.unfold(frame, self.side, padding=self.side // 2).view_as(shares)
        return (shares * around).sum(1, keepdim=True), state

    def forward(self, frames: Tensor) -> Tensor:
        """Return the predictions of frames 2, ..., T, each after the right frames before it.

        Raise ValueError if there are fewer than 2 frames.
        Shape: frames (N, T, 1, H, W) in [0, 1] -> (N, T - 1, 1, H, W).

        >>> FramePredictor()(torch.zeros(2, 5, 1, 8, 8)).shape
        torch.Size([2, 4, 1, 8, 8])
        """
        # Task 15.6 (2 points). For a hint: dlcourse hint 15.6
        raise NotImplementedError("task 15.6: FramePredictor.forward")


# %% [markdown]
# ## 7. Predict more frames
# To look further ahead than one frame, the network reads its own prediction as if it were a frame.


# %%
def rollout(model: FramePredictor, frames: Tensor, horizon: int) -> Tensor:
    """Read `frames`, then predict the next `horizon` frames.

    The network reads each predicted frame before it predicts the next one.
    Raise ValueError if horizon is below 1, or if there is no frame.
    Shape: frames (N, T, 1, H, W) in [0, 1] -> (N, horizon, 1, H, W), in [0, 1].

    >>> rollout(FramePredictor(), torch.zeros(2, 3, 1, 8, 8), horizon=4).shape
    torch.Size([2, 4, 1, 8, 8])
    """
    # Task 15.7 (2 points). For a hint: dlcourse hint 15.7
    raise NotImplementedError("task 15.7: rollout")


# %% [markdown]
# ## 8. Is it better than no prediction at all?
# Most of the next frame is like the last one. So a prediction must be compared with a copy of the
# last frame that was seen.


# %%
def copy_last(frames: Tensor, horizon: int) -> Tensor:
    """Return the last frame as the prediction of each of the next `horizon` frames.

    Raise ValueError if horizon is below 1.
    Shape: frames (N, T, 1, H, W) -> (N, horizon, 1, H, W).
    """
    # Task 15.8 (1 point). For a hint: dlcourse hint 15.8
    raise NotImplementedError("task 15.8: copy_last")


def errors_by_horizon(predicted: Tensor, frames: Tensor) -> Tensor:
    """Return the squared error of the predictions, for each of the frames.

    It is the sum over the pixels of a frame, and the mean over the films.
    Raise ValueError if the shapes differ.
    Shape: predicted, frames (N, T, 1, H, W) -> (T,).

    >>> errors_by_horizon(torch.zeros(2, 1, 1, 2, 2), torch.ones(2, 1, 1, 2, 2))
    tensor([4.])
    """
    # Task 15.8, continued.
    raise NotImplementedError("task 15.8: errors_by_horizon")


# %% [markdown]
# ## 9. The experiment
# The images show two things, such as "a small striped red circle above a plain blue square". Some
# colors and shapes never come together in the training images: red circles, green squares, blue
# triangles and yellow crosses. There are three tests, with new images: of the scenes of the
# training; of new scenes, whose things occur in the training; and of new things, that do not.
#
# Before you run it, write down your guess: how many captions of each test are exactly right, for
# the nearest neighbor and for the decoder? Does it matter where the decoder is told the image? And
# how many frames ahead is the network better than a copy of the last frame?
#
# *Your prediction:*

# %%
Seeds = Sequence[int]
Scene = data.Scene
NEIGHBORS, SEEN, HORIZON = 5, 5, 5
TESTS = ("known scenes", "new scenes", "new things")


def numbers_of(caption: Words, vocabulary: data.Vocabulary) -> list[int]:
    """Return the numbers of the words of a caption, and that of `<eos>` at its end.

    Raises UsageError for a caption without words, and UnknownNameError for an unknown word.
    """
    if not caption:
        raise UsageError("caption must have at least one word, got none")
    for word in caption:
        if word not in vocabulary:
            known = [token for token in vocabulary if not token.startswith("<")]
            raise UnknownNameError("word in the caption", word, known)
    return vocabulary.encode([*caption, "<eos>"]).tolist()


def overlap(one: Words, other: Words) -> float:
    """Return the share of the n-grams of `one`, n = 1 to 4, that are in `other`."""
    matches = sum(clipped_matches(one, [other], n) for n in range(1, 5))
    return matches / max(1, sum(len(one) - n + 1 for n in range(1, 5)))


def minimize(
    model: nn.Module, loss: Callable[[Tensor], Tensor], count: int, epochs: int, lr: float, B: int
) -> None:
    """Train by Adam on batches of B of the `count` samples; the rate rises to `lr` and falls to 0.

    loss: of the samples at the given places.
    """
    steps = epochs * -(-count // B)
    optimizer = torch.optim.Adam(model.parameters(), lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lr, steps + 1, pct_start=0.1, cycle_momentum=False
    )
    model.train()
    for _ in range(epochs):
        for places in torch.randperm(count).split(B):
            optimizer.zero_grad()
            loss(places).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    model.eval()


def encoder(num_words: int, side: int = 32) -> nn.Sequential:
    """Return a CNN that tells which words the caption of an image holds, 3 x side x side.

    All but its last layer are the features of an image, 512 numbers if the side is 32.
    """
    layers: list[nn.Module] = [nn.BatchNorm2d(3, affine=False)]
    for inputs, outputs, kernel, stride in ((3, 24, 5, 2), (24, 32, 3, 2), (32, 32, 3, 1)):
        layers += [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)]
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
    features = 32 * (-(-side // 4) // 2) ** 2
    return nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(features, num_words))


class Training:
    """Training images uint8 (N, 3, S, S) and captions, whose images are at `places`."""

    def __init__(
        self, images: Tensor, captions: list[list[str]], places: Sequence[int], device: Any
    ) -> None:
        self.captions, self.places = captions, torch.tensor(places, device=device)
        self.vocabulary = data.Vocabulary.build(
            word for caption in self.captions for word in [*caption, "<eos>"]
        )
        rows = [torch.tensor(numbers_of(caption, self.vocabulary)) for caption in self.captions]
        self.targets = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1).to(
            device
        )
        self.images = images.to(device) / 255

    def features(self, net: nn.Sequential, images: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([net[:-1](part) for part in images.split(500)])

    def train_encoder(self, epochs: int) -> nn.Sequential:
        """Train a CNN to tell which words are in the caption."""
        net = encoder(len(self.vocabulary), self.images.shape[-1]).to(self.images.device)

        def loss(rows: Tensor) -> Tensor:
            words = torch.zeros(len(rows), len(self.vocabulary), device=self.images.device)
            words.scatter_(1, self.targets[rows].clamp(min=0), 1.0)
            outputs = net(self.images[self.places[rows]])
            return F.binary_cross_entropy_with_logits(outputs, words)

        minimize(net, loss, len(self.targets), epochs, 3e-3, 64)
        return net

    def train_decoder(self, features: Tensor, at_each_word: bool, epochs: int) -> CaptionDecoder:
        sizes = features.shape[1], len(self.vocabulary), self.vocabulary["<eos>"]
        decoder = CaptionDecoder(*sizes, at_each_word).to(features.device)

        def loss(rows: Tensor) -> Tensor:
            targets = self.targets[rows]
            logits = decoder(features[self.places[rows]], targets.clamp(min=0))
            return F.cross_entropy(logits[targets >= 0], targets[targets >= 0])

        minimize(decoder, loss, len(self.targets), epochs, 5e-3, 64)
        return decoder


class Captions(Training):
    """The training images of one seed, with one caption each, and the images of the tests.

    scenes: how many there are in training; copies: how many images of each.
    """

    def __init__(self, scenes: int, copies: int, count: int, seed: int, device: Any) -> None:
        chosen = data.choose_scenes(scenes + count, seed=seed)
        self.tests: dict[str, list[Scene]] = {
            "known scenes": chosen[: min(count, scenes)],
            "new scenes": chosen[scenes:],
            "new things": data.choose_scenes(count, held_out=True, seed=seed),
        }
        train, random = chosen[:scenes] * copies, Random(seed)
        captions = [random.choice(data.captions_of(scene)) for scene in train]
        super().__init__(data.draw_scenes(train, seed), captions, range(len(train)), device)
        self.pictures = {
            name: data.draw_scenes(found, TEST_SEED + 10 * seed + number).to(device) / 255
            for number, (name, found) in enumerate(self.tests.items())
        }


TEST_SEED = 1000  # no setting of this lab was chosen with images drawn from these seeds
DECODERS = {"decoder, at the start": False, "decoder, at each word": True}


def caption_all(task: Captions, epochs: int) -> dict[str, dict[str, list[list[str]]]]:
    """Train, and return the captions of each test, by who wrote them."""
    net = task.train_encoder(epochs)
    known = task.features(net, task.images)
    tests = {name: task.features(net, images) for name, images in task.pictures.items()}
    written: dict[str, dict[str, list[list[str]]]] = {"nearest neighbor": {}, "consensus of 5": {}}
    for name, features in tests.items():
        places = nearest(features, known, min(NEIGHBORS, len(known))).tolist()
        near = [[task.captions[place] for place in row] for row in places]
        written["nearest neighbor"][name] = [captions[0] for captions in near]
        written["consensus of 5"][name] = [some[consensus(some, overlap)] for some in near]
    for kind, at_each_word in DECODERS.items():
        decoder = task.train_decoder(known, at_each_word, epochs)
        with torch.no_grad():
            written[kind] = {
                name: [task.vocabulary.decode(row) for row in write(decoder, features)]
                for name, features in tests.items()
            }
    return written


def spread_of(numbers: Sequence[float]) -> float:
    """Return the standard deviation; that of one number is 0."""
    return statistics.stdev(numbers) if len(numbers) > 1 else 0.0


def shown(numbers: Sequence[float]) -> str:
    return f"{statistics.fmean(numbers):.1f} ± {spread_of(numbers):.1f}"


def caption_images(sizes: tuple[int, int, int], epochs: int, seeds: Seeds, args: Any) -> None:
    """Print how good the captions are, and claim what they show."""
    right: dict[str, dict[str, list[float]]] = {}  # by who wrote them, by test: for each seed
    scores: dict[str, dict[str, list[float]]] = {}
    single, same = [], []
    for seed in seeds:
        torch.manual_seed(seed)
        task = Captions(*sizes, seed, args.device)
        written = caption_all(task, epochs)
        references = {
            name: [data.captions_of(scene) for scene in scenes]
            for name, scenes in task.tests.items()
        }
        for who, tests in written.items():
            for name, captions in tests.items():
                hits = [c in some for c, some in zip(captions, references[name], strict=True)]
                right.setdefault(who, {}).setdefault(name, []).append(100 * statistics.fmean(hits))
                score = bleu(captions, references[name])
                scores.setdefault(who, {}).setdefault(name, []).append(score)
        mine = written["decoder, at each word"]
        single.append(bleu(mine["known scenes"], [some[:1] for some in references["known scenes"]]))
        known = set(map(tuple, task.captions))
        same.append(100 * statistics.fmean(tuple(c) in known for c in mine["known scenes"]))
        if seed == seeds[0]:
            first = task, written
    task, written = first
    print(f"data: {len(task.images):,} images of {sizes[0]:,} scenes, drawn, with their captions")
    print(f"the first one: {' '.join(task.captions[0])}")
    for title, table in (("exactly right, in percent", right), ("BLEU", scores)):
        print(f"\n{title:<26}" + "".join(f"{name:>15}" for name in TESTS))
        for who, found in table.items():
            print(f"{who:<26}" + "".join(f"{shown(found[name]):>15}" for name in TESTS))
    print("\nthe decoder that is told the image at each word, on known scenes")
    print(f"BLEU with one reference instead of two         {shown(single)}")
    print(f"captions that are a caption of the training    {shown(same)} %")
    claim_captions(right, scores, single, args)
    if args.plot:
        draw_captions(task, written, args)


def caption_own(name: str, args: Any) -> None:
    """Print how good the captions of your own images are; `dlcourse data import` reads them.

    Raises UsageError for images that are too small for the CNN.
    """
    own = data.load_captioned(name, args.data_dir)
    side = own.train.images.shape[-1]
    if side < 8:
        raise UsageError(
            f"--captions {name}: images must be at least 8 pixels wide, got {side}; import them "
            "again with --size 32 --force"
        )
    images, known = own.train.images[: args.limit], own.train.captions[: args.limit]
    pairs = [(place, caption) for place, some in enumerate(known) for caption in some]
    task = Training(images, [c for _, c in pairs], [place for place, _ in pairs], args.device)
    net = task.train_encoder(args.epochs)
    features = task.features(net, task.images)
    seen = task.features(net, own.test.images.to(args.device) / 255)
    decoder = task.train_decoder(features, True, args.epochs)
    with torch.no_grad():
        mine = [task.vocabulary.decode(row) for row in write(decoder, seen)]
    near = [known[place][0] for (place,) in nearest(seen, features).tolist()]
    print(f"data: {own.source}; {len(images):,} images with {len(pairs):,} captions")
    print(f"\nBLEU of the captions of {len(seen):,} test images")
    for who, captions in (("nearest neighbor", near), ("decoder, at each word", mine)):
        print(f"{who:<26}{bleu(captions, own.test.captions):>15.1f}")


def claim_captions(
    right: dict[str, dict[str, list[float]]],
    scores: dict[str, dict[str, list[float]]],
    single: list[float],
    args: Any,
) -> None:
    claim, who = args.findings.claim, "decoder, at each word"
    near, mine = scores["nearest neighbor"], scores[who]
    hits, known = right["nearest neighbor"], "known scenes"
    claim("nearest neighbor, new scenes: exactly right", hits["new scenes"], "=", 0, "g",
          task="15.2", exact=True)  # fmt: skip
    claim("known scenes, right: nearest neighbor, decoder", hits[known], ">", right[who][known],
          ".1f", task="15.2")  # fmt: skip
    claim("new scenes, right: decoder, nearest neighbor", right[who]["new scenes"], ">",
          hits["new scenes"], ".1f", task="15.3")  # fmt: skip
    for name in ("new scenes", "new things"):
        claim(f"BLEU, {name}: decoder, nearest neighbor", mine[name], ">", near[name], ".1f",
              task="15.3")  # fmt: skip
        gain = [a - b for a, b in zip(mine[name], near[name], strict=True)]
        spread = max(map(spread_of, (mine[name], near[name])))
        claim(f"BLEU, {name}: the gain, the spread", gain, ">", spread, ".1f")
    start = scores["decoder, at the start"]
    claim("BLEU, new scenes: told at each word, at the start", mine["new scenes"], ">",
          start["new scenes"], ".1f", task="15.3")  # fmt: skip
    claim("BLEU, known scenes: two references, one", mine[known], ">", single, ".1f", task="15.1")


def draw_captions(
    task: Captions, written: dict[str, dict[str, list[list[str]]]], args: Any
) -> None:
    texts, images = [], []
    for name in TESTS:
        for place in range(2):
            lines = {"scene": data.captions_of(task.tests[name][place])[0]}
            for who in ("nearest neighbor", "decoder, at each word"):
                lines[who.partition(",")[0]] = written[who][name][place]
            texts.append("\n".join(f"{who}: {' '.join(words)}" for who, words in lines.items()))
            images.append(task.pictures[name][place])
    plots.captioned(torch.stack(images), texts, args.out / "captions.png")


# %%
def predict_films(digits: data.ImageData, count: int, epochs: int, seeds: Seeds, args: Any) -> None:
    """Print the error of predicted frames and of copies, and claim what they show."""
    errors: dict[str, list[list[float]]] = {
        "black frame": [], "copy of the last frame": [], "prediction": []
    }  # fmt: skip
    after: list[list[float]] = []
    for seed in seeds:
        torch.manual_seed(seed)
        train, test = (
            (data.move_digits(images, n, SEEN + HORIZON, seed=s) / 255).to(args.device)
            for images, n, s in (
                (digits.train_images, count, seed),
                (digits.test_images, 50 if args.tiny else 200, TEST_SEED + seed),
            )
        )
        model = FramePredictor().to(args.device)

        def loss(places: Tensor, model: nn.Module = model, films: Tensor = train) -> Tensor:
            return errors_by_horizon(model(films[places]), films[places, 1:]).mean()

        minimize(model, loss, count, epochs, 1e-2, 16)
        seen, future = test[:, :SEEN], test[:, SEEN:]
        with torch.no_grad():
            predicted = rollout(model, seen, HORIZON)
            next_frames = model(test)
        copied = copy_last(seen, HORIZON)
        ways = torch.zeros_like(future), copied, predicted
        for who, frames in zip(errors, ways, strict=True):
            errors[who].append(errors_by_horizon(frames, future).tolist())
        after.append(errors_by_horizon(next_frames, test[:, 1:]).tolist())
        if seed == seeds[0]:
            first = test, predicted, copied
    print(f"\ndata: {digits.source}; {count:,} films of a digit")
    print(f"\n{'squared error, frames ahead':<28}" + "".join(f"{n:>12}" for n in range(1, 6)))
    for who, rows in errors.items():
        print(f"{who:<28}" + "".join(f"{shown(list(c)):>12}" for c in zip(*rows, strict=True)))
    columns = list(zip(*after, strict=True))[:5]
    print(f"\n{'the next frame, after seeing':<28}" + "".join(f"{n:>12}" for n in range(1, 6)))
    print(f"{'prediction':<28}" + "".join(f"{shown(list(c)):>12}" for c in columns))
    claim = args.findings.claim
    _, copies, mine = errors.values()
    for ahead in range(HORIZON):
        pair = [[row[ahead] for row in rows] for rows in (mine, copies)]
        claim(f"{ahead + 1} ahead: prediction, copy", pair[0], "<", pair[1], ".1f", task="15.7")
    claim("next frame: after 5 frames, after 1", columns[4], "<", columns[0], ".1f", task="15.6")
    check_pieces(test[:4], args)
    if args.plot:
        draw_films(*first, args)
        means = {who: torch.tensor(rows).mean(0).tolist() for who, rows in errors.items()}
        plots.curves(
            means, args.out / "horizon.png", xlabel="frames ahead", ylabel="squared error",
            xticks=range(1, HORIZON + 1),
        )  # fmt: skip


def draw_films(films: Tensor, predicted: Tensor, copied: Tensor, args: Any) -> None:
    rows = []
    for n in range(3):
        seen, empty = films[n, :SEEN], torch.ones_like(films[n, :SEEN])
        rows += [films[n], torch.cat([empty, predicted[n]]), torch.cat([empty, copied[n]])]
    names = ["film", "prediction", "copy"] * 3
    plots.mosaic(torch.cat(rows), SEEN + HORIZON, args.out / "films.png", rows=names, gap=1)
    seen = films[:3, :SEEN]
    sides = [torch.cat([seen, end[:3]], dim=1) for end in (films[:, SEEN:], predicted, copied)]
    # Side by side: the film, the prediction, the copy; one film under another.
    frames = torch.cat([torch.cat(list(side), dim=2) for side in sides], dim=3)
    plots.animation(frames, args.out / "films.gif")


@torch.no_grad()
def check_pieces(films: Tensor, args: Any) -> None:
    """Compare what your functions compute with what is known without them.

    films: (N, T, 1, H, W) in [0, 1], with T of at least 3.
    """
    claim = functools.partial(args.findings.claim, form=".4g", exact=True)
    # The example of Papineni et al. (2002), who invented BLEU.
    cats = [text.split() for text in ("the cat is on the mat", "there is a cat on the mat")]
    matches = clipped_matches(["the"] * 7, cats, 1)
    claim('"the", seven times: matches of the cat on the mat', matches, "=", 2, task="15.1")
    claim(
        "BLEU of a caption that is right", round(bleu(cats[:1], [cats]), 4), "=", 100, task="15.1"
    )
    known = torch.tensor([[9.0, 9.0], [0.0, 1.0]])
    place = nearest(torch.tensor([[0.0, 3.0]]), known).item()
    claim("neighbor of (0, 3): (0, 1), not (9, 9)", place, "=", 1, task="15.2")

    torch.manual_seed(args.seed)
    decoder, features = CaptionDecoder(6, 9, end=0, at_each_word=True), torch.randn(8, 6)
    for weight in decoder.parameters():
        nn.init.normal_(weight)
    with torch.enable_grad():
        decoder(features, torch.randint(9, (8, 4))).square().sum().backward()
    idle = sum(weight.grad is None for weight in decoder.parameters())
    claim("decoder: weights without a gradient", idle, "=", 0, task="15.3")
    wrong = 0
    for row, words in zip(features, write(decoder, features, 6), strict=True):
        again = decoder(row[None], torch.tensor([[*words, 0]])).argmax(2)[0, : len(words)]
        wrong += sum(one != other for one, other in zip(again.tolist(), words, strict=True))
    claim("written words that are not the likeliest ones", wrong, "=", 0, task="15.3 or 15.4")

    theirs, x, h, c = nn.LSTMCell(3, 5), torch.randn(2, 3), torch.randn(2, 5), torch.randn(2, 5)
    weight = torch.cat([theirs.weight_ih, theirs.weight_hh], dim=1)[..., None, None]
    maps = x[..., None, None], (h[..., None, None], c[..., None, None])
    mine = conv_lstm_step(*maps, weight, theirs.bias_ih + theirs.bias_hh)
    pairs = zip(mine, theirs(x, (h, c)), strict=True)
    apart = max((one.flatten(1) - other).abs().max().item() for one, other in pairs)
    claim("maps of one pixel: difference to nn.LSTMCell", apart, "<", 1e-5, task="15.5")
    model = FramePredictor().to(films.device)
    ahead = rollout(model, films[:, :-1], 2)
    apart = (model(films)[:, -1] - ahead[:, 0]).abs().max().item()
    claim("the last frame: forward and rollout differ by", apart, "<", 1e-5,
          task="15.5 or 15.6 or 15.7")  # fmt: skip
    read = torch.cat([films[:, :-1], ahead[:, :1]], dim=1)
    apart = (rollout(model, read, 1)[:, 0] - ahead[:, 1]).abs().max().item()
    claim("2 ahead, or 1 after that prediction: difference", apart, "<", 1e-5, task="15.7")
    copies = copy_last(films, 2)
    apart = (copies - films[:, -1:]).abs().max().item()
    claim("copies: difference to the last frame", apart, "=", 0, task="15.8")
    ones = torch.ones(3, 2, 1, 4, 4)
    error = round(errors_by_horizon(ones, 0 * ones)[0].item(), 4)
    claim("error of white for black, 16 pixels", error, "=", 16, task="15.8")


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab15", __doc__, argv, epochs=6, full_epochs=20, tiny_epochs=1,
                           captions=True)  # fmt: skip
    if args.captions is not None:
        return caption_own(args.captions, args)
    seeds = range(3 * args.seed, 3 * args.seed + (1 if args.tiny else 3))
    digits = data.load("mnist", args.data_dir, offline=args.offline)
    sizes = (40, 2, 20) if args.tiny else (1000, 8, 400)
    caption_images(sizes, args.epochs, seeds, args)
    predict_films(digits, 32 if args.tiny else 1000, args.epochs // 2 or 1, seeds, args)
    if args.plot:
        print(f"figures: {args.out}")
    args.findings.report()


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Break it
# Give the decoder fewer scenes to learn from: replace `(1000, 8, 400)` in `main` by
# `(100, 80, 400)`, as many images of a tenth of the scenes, and run the lab again. What happens to
# the captions of known scenes, and what to those of new ones?
#
# ## Questions to think about
# **1.** Is captioning retrieval? Use your table: where would you take the nearest neighbor, and
# where the decoder?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# On known scenes the nearest neighbor is right almost always, and the decoder is not: where each
# test image has a twin in the training, retrieval is enough. On new scenes the nearest neighbor can
# never be exactly right, because nobody has written the caption yet. There the decoder puts known
# words together in a new way. A test whose captions are mostly captions of the training, as Zitnick
# found for the data sets of his time, cannot tell the two apart.
# </details>
#
# **2.** A decoder that is told the image at each word is far better than one that is told it at the
# start. What must the second one do that the first one need not?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# It must carry the size, texture, color and shape of both things, and their places, in the same
# state that also counts where in the sentence it is, through a dozen steps that change this state.
# The gradient of the last words reaches the image only through all of these steps. Told at each
# word, the network can look the next word up, and its state is free for the sentence.
# </details>
#
# **3.** Red circles are "new things": the decoder knows red things and circles. Why does it hardly
# ever write "red circle", although the color and the shape are easy to see?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# It is also a language model. In all of its training sentences, "red" was never followed by
# "circle", so after "red" it expects another shape, as it expects "of" after "left". Its features
# were trained on the same images, too. To put together what never came together, a network must
# learn that color and shape do not depend on each other, and nothing in this training says so.
# </details>
#
# **4.** Copying the last frame is worse than a frame that is all black. How can that be, and what
# does it say about the squared error?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# Most pixels are black. A copy is wrong twice, where the digit was and where it is now, and black
# is wrong only once. The squared error rewards caution: if the network does not know where the
# digit is, a gray blur over all possible places costs less than a sharp digit at a wrong place.
# This is why the predictions become blurred, and why a better number need not look better (Mathieu
# et al. 2015).
# </details>
#
# **5.** After one frame, the error of the prediction is more than twice as large as after five.
# What does the network need the second frame for, and why does it still gain from the third?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# One frame shows where the digit is, but not where it goes. Two frames show its velocity. The
# network does not see a velocity: it must work it out from maps of the state, a patch at a time,
# and each further frame makes this more certain. Near a wall it also has to learn that the digit
# turns round.
# </details>
#
# ## What you have seen
# Where the scene was in the training, the caption of the nearest neighbor is hard to beat; on new
# scenes it is never exactly right, and the decoder is right in two of five cases. The decoder needs
# to be told the image at each word. It does not put together a color and a shape that it never saw
# together. A network that says where each pixel comes from predicts the next five frames better
# than a copy of the last one, and better than no picture at all, and its pictures fade with each
# frame.

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab15` asks seven questions with four choices each, and explains the answers.
