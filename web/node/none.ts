/** A package that no page can have. */
export default undefined;
