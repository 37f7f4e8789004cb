# Stands in for node:24-slim.
FROM mqtt2go/offline-base
RUN apt-get update -qq \
  && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nodejs ca-certificates \
  && groupadd --gid 1000 node && useradd --uid 1000 --gid node --shell /bin/bash --create-home node \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
CMD ["node"]
