"""Teaches a model of River on a server by River's own client: python3 serve_client.py URL."""

import sys

from river import datasets, linear_model, preprocessing
from riverapi.main import Client


def main(url: str) -> None:
    """Uploads a pipeline, learns, and prints the metrics."""
    client = Client(url, quiet=True)
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    name = client.upload_model(model, "binary", "phishing")
    for number, (features, label) in enumerate(datasets.Phishing().take(500)):
        if number % 2:
            client.learn(name, features, label)
        else:
            identifier = client.predict(name, features)["identifier"]
            client.label(label, identifier, name)
    for metric, value in client.metrics(name).items():
        print(f"{metric} = {value:.4f}")


if __name__ == "__main__":
    main(sys.argv[1])
