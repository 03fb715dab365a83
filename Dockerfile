# The collector, with an external Postgres: nothing but Python and what `footfall[digest]` needs, which can tell people.
# A digest, where you want one: --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:...
ARG PYTHON_IMAGE=python:3.13-slim
FROM ${PYTHON_IMAGE} AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY processors ./processors
COPY instrumentation ./instrumentation
COPY exporters ./exporters
COPY collector ./collector
COPY examples ./examples
# What `footfall compose` and `footfall grafana` write, a part of the package.
COPY docker-compose.yml .env.example ./
COPY docker ./docker
COPY grafana/provisioning ./grafana/provisioning
# Without pip, and what seldom runs is not compiled: with both, the image would be larger than 250 MB.
RUN python -m venv --without-pip /opt/footfall \
    && pip --python /opt/footfall install --no-cache-dir --no-compile --disable-pip-version-check \
        --constraint constraints.txt ".[digest]" \
    && /opt/footfall/bin/python -m compileall -q -x '/(alembic|apprise|mako|markdown|oauthlib|pygments|sqlalchemy)/' /opt/footfall/lib

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/footfall /opt/footfall
ENV PATH=/opt/footfall/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A number, so that Kubernetes' runAsNonRoot can see that it is not root.
USER 10001:10001
EXPOSE 4317 4318 8888
ENTRYPOINT ["footfall"]
CMD ["up", "--config", "/etc/footfall/collector.yaml"]
