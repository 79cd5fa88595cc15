# What a model may leave behind: one import for each (see __init__.py).
from ganmf_fast.base.urm import csr_from_sparse as csr_from_sparse
from ganmf_fast.scorers.base import Scorer as Scorer
from ganmf_fast.scorers.dense import DenseWeights as DenseWeights
from ganmf_fast.scorers.factors import Factors as Factors
from ganmf_fast.scorers.popularity import Popularity as Popularity
from ganmf_fast.scorers.weights import ItemWeights as ItemWeights
from ganmf_fast.scorers.weights import UserWeights as UserWeights
