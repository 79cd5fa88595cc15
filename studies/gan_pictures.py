"""Pictures of docs/guides/ganmf-explained.md: a healthy and a collapsed training on simulated data.

python studies/gan_pictures.py --output docs/guides
"""

import argparse
from pathlib import Path

import ganmf_fast as gf


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=80)
    args = parser.parse_args()
    demo = gf.datasets.load("demo")
    data = gf.split.k_core(gf.Interactions.from_matrix(demo.urm[:500]), 5, 5)
    splits = gf.split.paper_protocol(data, seed=1337)
    print(data)

    def value(model: gf.Recommender) -> float:
        return gf.evaluate(model, splits.train_small, splits.test)["map", 5]

    for model in (gf.TopPopular(), gf.EASE(l2=50.0)):
        print(f"{type(model).__name__}: MAP@5 {value(model.fit(splits.train_small)):.4f}")
    for name, share in (("healthy", 0.1), ("collapsed", 0.0)):
        gan = gf.GANMF(
            num_factors=20,
            emb_dim=32,
            batch_size=64,
            d_lr=1e-3,
            g_lr=5e-3,
            recon_coefficient=share,
            epochs=args.epochs,
            allow_worse=args.epochs,
            seed=0,
        )
        gan.fit(splits.train_small, validation=splits.early_stop)
        cosine = gan.history_[-1]["generated_cosine"]
        print(
            f"{name}: feature matching {share}, MAP@5 {value(gan):.4f}, best epoch "
            f"{gan.best_epoch_}, mean cosine {cosine:.4f} at the end"
        )
        gf.plot.training(gan).save(args.output / f"ganmf-{name}.svg")


if __name__ == "__main__":
    main()
