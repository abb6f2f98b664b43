FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# TAGS=demo puts a Redis inside, for roost demo.
ARG TAGS=
RUN CGO_ENABLED=0 go build -tags "$TAGS" -trimpath -ldflags "-s -w" -o /websocket-server ./cmd/roost

FROM gcr.io/distroless/static:nonroot
COPY --from=build /websocket-server /websocket-server
USER 65532:65532
# In a container 127.0.0.1 is the container: without this nobody could publish the admin server's port. Publish it to
# 127.0.0.1 of the host only (-p 127.0.0.1:8082:8082), or set HTTP_TOKEN.
ENV HTTP_HOST=0.0.0.0
EXPOSE 8081 8082 8443
# Whether the process answers, and not whether Redis is there: an orchestrator that restarts what is unhealthy would
# disconnect everybody, and Redis would not be back any sooner.
HEALTHCHECK CMD ["/websocket-server", "health", "--live"]
CMD ["/websocket-server"]
