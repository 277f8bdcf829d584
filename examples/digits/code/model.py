"""A network with one hidden layer, trained by gradient descent with momentum. All it knows is in `tensors`."""

import numpy

HIDDEN = 64
CLASSES = 10
MOMENTUM = 0.9


class Network:
    def __init__(self, tensors):
        self.tensors = tensors

    @classmethod
    def new(cls, inputs, seed):
        rng = numpy.random.default_rng(seed)
        weights = {
            "hidden.weight": rng.normal(0, (2 / inputs) ** 0.5, (inputs, HIDDEN)),
            "hidden.bias": numpy.zeros(HIDDEN),
            "output.weight": rng.normal(0, (2 / HIDDEN) ** 0.5, (HIDDEN, CLASSES)),
            "output.bias": numpy.zeros(CLASSES),
        }
        # The velocities are part of what has to be saved: without them a resumed run would not be the same run.
        velocities = {f"velocity.{name}": numpy.zeros_like(value) for name, value in weights.items()}
        return cls({name: value.astype(numpy.float32) for name, value in {**weights, **velocities}.items()})

    def forward(self, pixels):
        """What the hidden layer says, and the ten classes' scores."""
        t = self.tensors
        hidden = numpy.maximum(pixels @ t["hidden.weight"] + t["hidden.bias"], 0)
        return hidden, hidden @ t["output.weight"] + t["output.bias"]

    def learn(self, pixels, labels, rate):
        """One step on one batch; returns the batch's mean loss before the step."""
        hidden, scores = self.forward(pixels)
        rows = numpy.arange(len(labels))
        scores = scores - scores.max(axis=1, keepdims=True)
        chances = numpy.exp(scores)
        chances /= chances.sum(axis=1, keepdims=True)
        loss = -numpy.log(numpy.maximum(chances[rows, labels], 1e-12)).mean()

        wrong = chances
        wrong[rows, labels] -= 1
        wrong /= len(labels)
        back = (wrong @ self.tensors["output.weight"].T) * (hidden > 0)
        self._move("output.weight", hidden.T @ wrong, rate)
        self._move("output.bias", wrong.sum(axis=0), rate)
        self._move("hidden.weight", pixels.T @ back, rate)
        self._move("hidden.bias", back.sum(axis=0), rate)
        return float(loss)

    def _move(self, name, gradient, rate):
        velocity = self.tensors[f"velocity.{name}"]
        velocity *= MOMENTUM
        velocity -= rate * gradient
        self.tensors[name] += velocity

    def accuracy(self, pixels, labels):
        """The share of images whose highest score is the right one."""
        return float((self.forward(pixels)[1].argmax(axis=1) == labels).mean())
