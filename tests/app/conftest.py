"""Runs of the smoke variants, made by the command line when they are first asked for."""

import functools

import pytest
from command_line import run_command
from tiny_runs import run_of as run_of


@pytest.fixture(scope='session')
def smoke(tmp_path_factory):
  """The workdir of an experiment's variant 'smoke'."""

  @functools.cache
  def workdir_of(name, *options):
    workdir = tmp_path_factory.mktemp('smoke') / name
    run_command(f'--config=experiments/{name}.py:smoke', f'--workdir={workdir}', *options)
    return workdir

  return workdir_of


@pytest.fixture(scope='session')
def trained(smoke):
  """The VAE of two latents, which most modes are of."""
  return smoke('vae', '--config.model.latent_dim=2')
