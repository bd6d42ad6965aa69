# syntax=docker/dockerfile:1
FROM python:3.11-slim AS build
WORKDIR /app
COPY requirements.txt .
RUN python -m venv .venv \
    && .venv/bin/python -m pip install --no-cache-dir --no-compile --disable-pip-version-check \
        --require-hashes -r requirements.txt
COPY main.py ./
COPY core core
COPY plugins plugins
COPY interfaces interfaces
COPY engines engines
# The image never changes, so its bytecode needs no check against the sources. Some packages ship templates that are
# no valid Python; those may fail.
RUN .venv/bin/python -m compileall -qq -j 0 --invalidation-mode unchecked-hash core plugins interfaces engines \
    && (.venv/bin/python -m compileall -qq -j 0 --invalidation-mode unchecked-hash .venv/lib || true)

FROM python:3.11-slim
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data rekku \
    && install --directory --owner=rekku --group=rekku --mode=0700 /data
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    REKKU_HOME=/data
USER rekku
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=15s --start-period=30s --retries=3 CMD ["python", "main.py", "health"]
ENTRYPOINT ["python", "main.py"]
CMD ["run"]
