export default {
  punctual: {
    input: "../../openapi.yaml",
    output: { target: "generated/orval.ts", client: "fetch", baseUrl: "${process.env['PUNCTUAL_URL']}" },
  },
};
