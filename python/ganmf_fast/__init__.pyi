# The public names, beside the models (see __init__.py).
from ganmf_fast import models as models
from ganmf_fast import scorers as scorers
from ganmf_fast import split as split
from ganmf_fast import tuning as tuning
from ganmf_fast.base.params import hyperparameters as hyperparameters
from ganmf_fast.base.params import param as param
from ganmf_fast.base.threads import set_num_threads as set_num_threads
from ganmf_fast.data import datasets as datasets
from ganmf_fast.data.interactions import Interactions as Interactions
from ganmf_fast.evaluation import backtest as backtest
from ganmf_fast.evaluation import compare as compare
from ganmf_fast.evaluation import evaluate as evaluate
from ganmf_fast.evaluation import evaluate_lists as evaluate_lists
from ganmf_fast.evaluation import model_selection as model_selection
from ganmf_fast.experiments.benchmark import benchmark as benchmark
from ganmf_fast.experiments.session import reproduce as reproduce
from ganmf_fast.models import *
from ganmf_fast.models.base import Recommender as Recommender
from ganmf_fast.models.blending import Blend as Blend
from ganmf_fast.models.blending import Fallback as Fallback
from ganmf_fast.models.cooccurrence import Cooccurrence as Cooccurrence
from ganmf_fast.models.early_stopping import run_epochs as run_epochs
from ganmf_fast.models.fit_data import FitData as FitData
from ganmf_fast.models.load import load as load
from ganmf_fast.models.reranking import MMR as MMR
from ganmf_fast.models.reranking import CalibratedReranking as CalibratedReranking
from ganmf_fast.results import plot as plot
from ganmf_fast.split import Splits as Splits
from ganmf_fast.tuning import tune as tune

__version__: str
