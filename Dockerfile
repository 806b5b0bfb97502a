# The image holds one static binary and the certificates that TLS connections are checked against.
#
#   docker build --build-arg VERSION=v1.2.3 -t penstock .
#   docker run -v ./pipeline.yaml:/pipeline.yaml -v penstock:/data -p 4195:4195 -p 4196:4196 penstock run /pipeline.yaml

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=""
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/penstock ./cmd/penstock
RUN mkdir /out/data /out/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/penstock /usr/local/bin/penstock
# The state of pipes (state_dir) is by default below the working folder: mount a volume there to keep it.
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/tmp /tmp
ENV PATH=/usr/local/bin
WORKDIR /data
USER 65532:65532
# 4195: Benthos's own HTTP server. 4196: Penstock's status, metrics and page; in a container, have it listen on 0.0.0.0.
EXPOSE 4195 4196
ENTRYPOINT ["penstock"]
