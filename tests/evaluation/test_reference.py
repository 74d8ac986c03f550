from sources import Repeats, digits_like_mnist, gray_source

from gen_jax.evaluation import reference
from gen_jax.evaluation.extractors import Extractor
from gen_jax.evaluation.sample_distances import frechet

TRAIN, TEST = (digits_like_mnist(split)[0][:200] for split in ('train', 'test'))


def frechet_of(model, train=TRAIN):
  return dict(frechet(model, gray_source(train, TEST, sample_count=200)))


def test_what_real_images_look_like_is_kept_and_read_again(capsys, monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  cache = tmp_path / 'gen_jax' / 'references'
  calls = []
  known = Extractor.outputs
  monkeypatch.setattr(Extractor, 'outputs', lambda self, images: calls.append(len(images)) or known(self, images))
  first = frechet_of(Repeats(TEST))
  files = sorted(cache.iterdir())
  assert [path.name.rsplit('-', 1)[0] for path in files] == ['mnist-cnn', 'mnist-lenet']
  assert sum(calls) == 2 * (200 + 200)
  calls.clear()
  assert frechet_of(Repeats(TEST)) == first and sum(calls) == 2 * 200
  changed = TRAIN.copy()
  changed[0, 0, 0] = 1
  assert frechet_of(Repeats(TEST), train=changed) != first and len(list(cache.iterdir())) == 4  # of other images
  for path in files:
    path.write_bytes(path.read_bytes()[:1000])
  assert frechet_of(Repeats(TEST)) == first  # damaged ones are made again
  monkeypatch.setattr(reference, 'write_bytes', lambda *_: (_ for _ in ()).throw(OSError('no room')))
  (cache / files[0].name).unlink()
  assert frechet_of(Repeats(TEST)) == first
  assert capsys.readouterr().err == 'the statistics of the real images are not kept: no room\n'
