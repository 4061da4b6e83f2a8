# The studio in a container, on a CPU. For a GPU: --build-arg BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04, and run it with
# --gpus all.
ARG BASE=python:3.12-slim-bookworm
FROM ${BASE}

# A base of CUDA comes without Python, and with one that wants its packages in an environment.
RUN command -v python3 >/dev/null || (apt-get update && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*)
RUN python3 -m venv /opt/flowchroma
ENV PATH=/opt/flowchroma/bin:$PATH PYTHONUNBUFFERED=1

WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY conf conf
COPY experiments experiments
COPY hydra_plugins hydra_plugins
COPY flowchroma flowchroma
RUN pip install --no-cache-dir '.[studio]' --constraint constraints.txt

# Films and their projects. Who the studio runs as must be able to write there.
RUN useradd --create-home restorer && mkdir /films && chown restorer /films
USER restorer
WORKDIR /films
VOLUME /films
EXPOSE 7860

# A container is reached from outside of it: the user and the password are the two that STUDIO_USER and STUDIO_PASSWORD
# give, and without them the studio says so and ends. The film, or project=DIR, comes after the image's name.
ENTRYPOINT ["sh", "-c", "exec python -m flowchroma.studio \"$@\" host=0.0.0.0 user=\"$STUDIO_USER\" password=\"$STUDIO_PASSWORD\" browser=false", "studio"]
