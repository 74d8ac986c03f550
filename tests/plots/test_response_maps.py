import numpy as np

from gen_jax.plots import response_maps

NAMES = ('shape', 'x')


def test_heat_maps_show_every_number():
  matrix = np.array([[0.91, 0.02], [0.13, 0.44], [0.0, 0.05]])
  figure = response_maps.heat_maps({'information': matrix, 'importances': matrix[::-1]}, NAMES)
  first, second, *_ = figure.axes
  assert [text.get_text() for text in first.texts] == ['0.91', '0.02', '0.13', '0.44', '0.00', '0.05']
  assert second.texts[0].get_text() == '0.00' and first.get_title(loc='left') == 'information'
  assert [label.get_text() for label in first.get_xticklabels()] == list(NAMES)
  np.testing.assert_array_equal(first.images[0].get_array(), matrix)


def test_a_response_is_drawn_in_the_row_of_its_latent_and_the_column_of_its_factor():
  means = [np.arange(6.0).reshape(3, 2), 10 + np.arange(10.0).reshape(5, 2)]
  stds = [np.full((3, 2), 0.5), np.full((5, 2), 2.0)]
  figure = response_maps.response_curves(means, stds, NAMES, latents=[1, 0])
  axes = np.array(figure.axes).reshape(2, 2)
  assert [ax.get_ylabel() for ax in axes[:, 0]] == ['z1', 'z0'] and [ax.get_title() for ax in axes[0]] == list(NAMES)
  np.testing.assert_array_equal(axes[0, 1].lines[0].get_ydata(), means[1][:, 1])
  np.testing.assert_array_equal(axes[1, 0].lines[0].get_ydata(), means[0][:, 0])
  band = axes[1, 1].collections[0].get_paths()[0].vertices[:, 1]
  assert (band.min(), band.max()) == (8.0, 20.0)


def test_a_latent_follows_the_factor_of_which_it_tells_most_if_it_moves():
  information = np.array([[0.5, 0.2], [0.05, 0.09], [0.0, 0.4], [0.1, 0.7]])
  assert response_maps.followed_factors(information, np.array([1.0, 1.0, 0.01, 0.5]), NAMES) == ['shape', '', '', 'x']
