"""How the project that this one grew from served: Flask, one LSTM, `model.predict` a request.

The network has learnt nothing: that does not change how long it takes.
"""

import sys

import numpy as np
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

DAYS, FEATURES, UNITS = 42, 15, 64


def main() -> None:
    """Serve on a port."""
    import keras

    network = keras.Sequential(
        [
            keras.layers.Input((DAYS, FEATURES)),
            keras.layers.LSTM(UNITS),
            keras.layers.Dense(1),
        ]
    )
    app = Flask(__name__)

    @app.get("/readyz")
    def readyz() -> ResponseReturnValue:
        return jsonify(status="ready")

    @app.post("/predict")
    def predict() -> ResponseReturnValue:
        windows = np.asarray(request.get_json()["windows"], dtype=np.float32)
        return jsonify(predictions=network.predict(windows, verbose=0)[:, 0].tolist())

    app.run(port=int(sys.argv[1]))


if __name__ == "__main__":
    main()
