# The models of the library, in the order of the docs: one import for each (see registry.py).
from ganmf_fast.models.popularity import TopPopular as TopPopular
from ganmf_fast.models.random import Random as Random
from ganmf_fast.models.svd import PureSVD as PureSVD
from ganmf_fast.models.knn import ItemKNN as ItemKNN
from ganmf_fast.models.knn import UserKNN as UserKNN
from ganmf_fast.models.random_walk import P3alpha as P3alpha
from ganmf_fast.models.random_walk import RP3beta as RP3beta
from ganmf_fast.models.slim_bpr import SLIMBPR as SLIMBPR
from ganmf_fast.models.slim_elastic_net import SLIMElasticNet as SLIMElasticNet
from ganmf_fast.models.ease import EASE as EASE
from ganmf_fast.models.wrmf import WRMF as WRMF
from ganmf_fast.models.bpr_mf import BPRMF as BPRMF
from ganmf_fast.models.bpr_mf import APR as APR
from ganmf_fast.gan.estimators import GANMF as GANMF
from ganmf_fast.gan.estimators import BinGANMF as BinGANMF
from ganmf_fast.gan.estimators import CFGAN as CFGAN
from ganmf_fast.gan.estimators import CAAE as CAAE
