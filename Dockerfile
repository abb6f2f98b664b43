FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /websocket-server ./cmd/roost

FROM gcr.io/distroless/static:nonroot
COPY --from=build /websocket-server /websocket-server
USER 65532:65532
EXPOSE 8081 8082
# There is no HEALTHCHECK: it would need a program that fetches /health, and
# nothing but the server is in this image. Let the orchestrator ask over HTTP.
CMD ["/websocket-server"]
