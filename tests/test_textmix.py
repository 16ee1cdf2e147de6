from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from scipy import stats

from augsynth.mixing import order_of, partners
from augsynth.rng import Rng
from augsynth.text.document import Document
from augsynth.text.stream import Stream
from augsynth.text_mixing import cut_mix_texts, mix_texts
from augsynth.transforms.textmix import EmbeddingMixUp, TextCutMix, chunks, next_in_order

OWN = [f"a{i} b{i} c{i} d{i} e{i} f{i} g{i} h{i}" for i in range(24)]
LABELS = torch.arange(24) % 3


def mixed(texts=OWN, labels=LABELS, index=None, epoch=0, strength=1.0, **arguments):
    rng = Rng.of(0, range(len(texts)) if index is None else index, epoch)
    return cut_mix_texts(TextCutMix(num_classes=3, **arguments), texts, labels, rng, strength)


def test_labels_are_the_shares_of_the_words():
    done, soft = mixed()
    assert soft.shape == (24, 3)
    for row, text in enumerate(done):
        sources = [int(word[1:]) for word in text.split()]
        shares = torch.bincount(LABELS[sources], minlength=3) / len(sources)
        assert torch.allclose(soft[row], shares.float(), atol=1e-6)
        assert len(sources) == 8
    assert sum(text != own for text, own in zip(done, OWN, strict=True)) > 12


def test_the_pasted_words_are_neighbours_in_both_texts():
    done, weights, sources = mix_texts(TextCutMix(), OWN, Rng.of(0, range(24)))
    for row, text in enumerate(done):
        words, own = text.split(), OWN[row].split()
        new = [k for k in range(8) if words[k] != own[k]]
        assert weights[row] == 1 - len(new) / 8
        if new:
            assert new == list(range(new[0], new[-1] + 1))
            assert " ".join(words[new[0] : new[-1] + 1]) in OWN[sources[row]]


def test_the_share_that_stays_follows_its_distribution():
    texts = [" ".join(["word"] * 200)] * 600
    for alpha in (1.0, 0.4):
        weights = mix_texts(TextCutMix(alpha=alpha), texts, Rng.of(1, range(600)))[1]
        assert stats.kstest(weights, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_partners_are_the_next_in_a_keyed_order_and_order_does_not_matter():
    rng = Rng.of(3, range(24))
    assert (next_in_order(rng, "x") == partners(order_of(rng, "x"), 1)[:, 1]).all()
    turned = np.roll(np.arange(24), 7)
    there = mixed([OWN[i] for i in turned], LABELS[turned], index=turned.tolist())
    here = mixed()
    assert there[0] == [here[0][i] for i in turned]
    assert torch.equal(there[1], here[1][turned])


def test_a_key_gives_its_mix_again_and_another_epoch_another():
    first, again, other = mixed(), mixed(), mixed(epoch=1)
    assert first[0] == again[0] != other[0]
    assert torch.equal(first[1], again[1])


def test_gates_and_strength_leave_texts_and_labels():
    done, soft = mixed(p=0.0)
    assert all(text is own for text, own in zip(done, OWN, strict=True))
    assert torch.equal(soft, torch.nn.functional.one_hot(LABELS, 3).float())
    assert mixed(strength=0.0)[0] == OWN
    part = mixed(p=0.5)[0]
    assert 3 <= sum(text is own for text, own in zip(part, OWN, strict=True)) <= 21


def test_all_around_the_pasted_words_stays():
    texts = ['"He  was (not)\tthere!"', "see https://a.b/c?d=1 now"]
    for seed in range(40):
        done = mix_texts(TextCutMix(), texts, Rng.of(seed, [0, 1]))[0]
        assert done[0].startswith('"')
        assert done[0].endswith('!"')
        assert all(text.count("https://a.b/c?d=1") == text.count("https") for text in done)


def test_words_written_together_are_one():
    text = "see https://a.b/c, well-known (don't) \u7535\u5f71\u597d 3.50"
    found = [text[start:end] for start, end in chunks(Document(text))]
    assert found == ["see", "https://a.b/c", "well-known", "don't", "\u7535", "\u5f71", "\u597d", "3.50"]


@pytest.mark.parametrize("texts", [["", "a b c"], ["  ", "\u0e01\u0e02"], ["one", "one"], ["alone"]])
def test_texts_without_words_and_single_ones_keep_their_labels(texts):
    for seed in range(10):
        done, weights, sources = mix_texts(TextCutMix(), texts, Rng.of(seed, range(len(texts))))
        assert done == [text if text.strip() != "one" else "one" for text in texts]
        assert all(weight == 1 for weight, text in zip(weights, texts, strict=True) if text != "one")
        assert len(sources) == len(texts)


def test_the_method_edits_documents_and_gives_weights():
    documents = [Document("a b c d"), Document("e f g h")]
    weights = TextCutMix().mix(documents, documents[::-1], [Stream((1, 2)), Stream((3, 4))], 1.0)
    assert weights.shape == (2,)
    assert [len(document.edits) for document in documents] == [int(weight < 1) for weight in weights]
    assert TextCutMix().mix([Document("a b")], [Document("c d")], [Stream((1, 2))], 0.0).tolist() == [1.0]


def test_soft_labels_stay_soft_and_class_numbers_need_their_number():
    soft = torch.rand(24, 5)
    done = cut_mix_texts(TextCutMix(), OWN, soft, Rng.of(0, range(24)))[1]
    assert done.shape == soft.shape
    assert not torch.equal(done, soft)
    with pytest.raises(ValueError, match=r"num_classes is needed"):
        cut_mix_texts(TextCutMix(), OWN, LABELS, Rng.of(0, range(24)))
    with pytest.raises(ValueError, match=r"sample 2 \(index 2\): 'label' is 2; with num_classes=2"):
        cut_mix_texts(TextCutMix(num_classes=2), OWN, LABELS, Rng.of(0, range(24)))


@pytest.mark.parametrize("kind", [TextCutMix, EmbeddingMixUp])
def test_arguments_are_checked_and_pickled(kind):
    assert pickle.loads(pickle.dumps(kind(alpha=0.3, num_classes=4))) == kind(alpha=0.3, num_classes=4)
    for wrong in ({"alpha": 0}, {"alpha": "1"}, {"num_classes": 0}, {"num_classes": True}):
        (field,) = wrong
        with pytest.raises(ValueError, match=f"{kind.__name__}: {field}="):
            kind(**wrong)


EMBEDDINGS = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(0))
MASK = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
CLASSES = torch.tensor([0, 1, 2, 0, 1, 2])


def test_embeddings_and_labels_have_the_same_weights():
    found, soft, none = EmbeddingMixUp(num_classes=3)(EMBEDDINGS, CLASSES, index=range(6))
    assert none is None
    rng = Rng.of(0, range(6))
    weight = torch.from_numpy(rng.uniform("embedding_mix_up")).float()
    other = next_in_order(rng, "embedding_mix_up.order")
    assert torch.allclose(found, weight[:, :, None] * EMBEDDINGS + (1 - weight[:, :, None]) * EMBEDDINGS[other])
    own = torch.nn.functional.one_hot(CLASSES, 3)
    assert torch.allclose(soft, weight * own + (1 - weight) * own[other])


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.float32])
def test_padding_counts_as_zeros_and_masks_are_united(dtype):
    mixup = EmbeddingMixUp(num_classes=3)
    found, _, union = mixup(EMBEDDINGS, CLASSES, MASK.to(dtype), index=range(6))
    clean = EMBEDDINGS * MASK[..., None]
    other = torch.from_numpy(next_in_order(Rng.of(0, range(6)), "embedding_mix_up.order"))
    assert torch.equal(found, mixup(clean, CLASSES, index=range(6))[0])
    assert union.dtype == dtype
    assert torch.equal(union.bool(), (MASK + MASK[other]) > 0)
    assert (found[~union.bool()] == 0).all()


def test_gradients_reach_both_samples():
    embeddings = EMBEDDINGS.double().requires_grad_()
    soft = torch.rand(6, 3, dtype=torch.float64).requires_grad_()
    mixup = EmbeddingMixUp(alpha=0.5)
    assert torch.autograd.gradcheck(lambda e, s: mixup(e, s, MASK, index=range(6))[:2], (embeddings, soft))
    mixup(embeddings, soft, index=range(6))[0][0].sum().backward()
    assert (embeddings.grad.abs().sum((1, 2)) > 0).sum() == 2


def test_the_weights_follow_the_key_and_the_distribution():
    mixup, ones = EmbeddingMixUp(alpha=0.4), torch.eye(2000)
    first, again = (mixup(ones, ones, index=range(2000), epoch=2, seed=7)[0] for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, mixup(ones, ones, index=range(2000), epoch=3, seed=7)[0])
    assert stats.kstest(first.diagonal().numpy(), stats.beta(0.4, 0.4).cdf).pvalue > 1e-3


def test_without_an_index_torchs_generator_gives_the_key():
    mixup = EmbeddingMixUp(num_classes=3)
    torch.manual_seed(1)
    first, second = mixup(EMBEDDINGS, CLASSES)[0], mixup(EMBEDDINGS, CLASSES)[0]
    torch.manual_seed(1)
    assert torch.equal(mixup(EMBEDDINGS, CLASSES)[0], first)
    assert not torch.equal(first, second)


def test_mixed_precision_stays():
    found, soft, _ = EmbeddingMixUp(num_classes=3)(EMBEDDINGS.bfloat16(), CLASSES, MASK, index=range(6))
    assert (found.dtype, soft.dtype) == (torch.bfloat16, torch.float32)
    assert torch.allclose(soft.sum(1), torch.ones(6))


def test_what_does_not_fit_is_refused():
    mixup = EmbeddingMixUp(num_classes=3)
    with pytest.raises(ValueError, match="6 embeddings, 5 labels and 6 indices"):
        mixup(EMBEDDINGS, CLASSES[:5], index=range(6))
    with pytest.raises(ValueError, match=r"mask is \(6, 3\) for embeddings of \(6, 4, 3\)"):
        mixup(EMBEDDINGS, CLASSES, MASK[:, :3])
    with pytest.raises(ValueError, match="sample 1 has the label 3; with num_classes=3"):
        mixup(EMBEDDINGS, torch.tensor([0, 3, 0, 0, 0, 0]))
    with pytest.raises(ValueError, match=r"give class numbers \(B,\) with num_classes="):
        EmbeddingMixUp()(EMBEDDINGS, CLASSES)


@pytest.mark.cuda
def test_a_device_gives_what_the_cpu_gives():
    here = EmbeddingMixUp(num_classes=3)(EMBEDDINGS, CLASSES, MASK, index=range(6))
    there = EmbeddingMixUp(num_classes=3)(EMBEDDINGS.cuda(), CLASSES.cuda(), MASK.cuda(), index=range(6))
    assert all(torch.allclose(a, b.cpu(), atol=1e-6) for a, b in zip(here, there, strict=True))
